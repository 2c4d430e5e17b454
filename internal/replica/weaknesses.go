package replica

import "strings"

// weaknesses returns the weak settings of the accepted configuration, for the security log. It quotes no token.
func (c Config) weaknesses() []string {
	var weak []string
	for _, fault := range c.tokenFaults() {
		weak = append(weak, fault.Error())
	}
	for _, network := range c.TrustedProxies {
		if strings.HasSuffix(strings.TrimSpace(network), "/0") {
			weak = append(weak, "--trusted-proxies has "+strings.TrimSpace(network)+": every client may choose its address")
		}
	}
	return weak
}
