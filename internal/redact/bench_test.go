package redact

import "testing"

func BenchmarkRedactText(b *testing.B) {
	for name, text := range map[string]string{
		"plain": "agent is late, its deployments go back to pending",
		"colon": "10.1.2.3:45678",
		"token": "GET /api/agents?admin_token=abcdefghijklmnop refused",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Text(text)
			}
		})
	}
}
