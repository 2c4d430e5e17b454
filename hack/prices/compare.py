"""Compares the shipped prices with public price lists: see compare, which installs them and runs this."""

import argparse
import json
import subprocess
import sys

from sources import AT, HOSTS, GenaiPrices, Litellm, PiAi, Quote

# REASONS explains intended differences of the shipped table, by (host, part of a name).
REASONS = [
    ("bedrock", "anthropic.claude-", "a name without a profile runs in the region that was called, which costs a tenth more"),
    ("bedrock", "claude-", "a name without a profile runs in the region that was called, which costs a tenth more"),
    ("deepseek", "deepseek-chat", "out of service since 2026-04-24"),
    ("deepseek", "deepseek-reasoner", "out of service since 2026-04-24"),
    ("*", "whisper", "billed by time, not by tokens"),
]


def reason(host, name):
    for at, part, why in REASONS:
        if at in ("*", host) and part in name:
            return f" ({why})"
    return ""


def ours(binary, host, names):
    """What the shipped table says of names, by name."""
    found = {}
    for begin in range(0, len(names), 200):
        command = [binary, "prices", "show", "-o", "json", "--provider", host, "--at", AT.strftime("%Y-%m-%dT%H:%M:%SZ"), "--"]
        done = subprocess.run(command + names[begin : begin + 200], capture_output=True, text=True, check=False, timeout=120)
        if done.returncode not in (0, 1) or not done.stdout:
            sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
        for price in json.loads(done.stdout)["prices"]:
            rates = price["usd_per_million_tokens"]
            read = rates["cache_read"] if rates["cache_read"] != rates["input"] else None
            write = rates["cache_write"] if rates["cache_write"] != rates["input"] else None
            found[price["model"]] = Quote(rates["input"], rates["output"], read, write)
    return found


def agreed(quotes):
    """The price that at least two sources have, if any."""
    keys = [quote.key() for quote in quotes.values()]
    for key in keys:
        if keys.count(key) >= 2:
            return key
    return None


def compare(binary, sources):
    asked = two = equal = 0
    lines = []
    for host in HOSTS:
        lists = {source.name: source.quotes(host) for source in sources}
        genai = next(source for source in sources if source.name == "genai-prices")
        names = sorted(set().union(*lists.values()))
        have = ours(binary, host, names)
        for name in names:
            quotes = {source: quotes[name] for source, quotes in lists.items() if name in quotes}
            if "genai-prices" not in quotes and HOSTS[host][1]:  # it finds models by rules too
                found = genai.ask(host, name)
                if found is not None:
                    quotes["genai-prices"] = found
            asked += 1
            price, both = have.get(name), agreed(quotes)
            two += both is not None
            if price is not None and (price.key() == both if both else any(price.key() == quote.key() for quote in quotes.values())):
                equal += both is not None
                lines += caches(host, name, price, quotes)
                continue
            kind = "differs" if both else "disputed"
            told = "; ".join(f"{source} {quotes[source]}" for source in sorted(quotes))
            lines.append(f"{kind}: {host} {name}: ours {price or 'none'}; {told}{reason(host, name)}")
    return asked, two, equal, lines


def caches(host, name, price, quotes):
    """Cache prices that two sources agree on and ours is not."""
    lines = []
    for kind in ("cache_read", "cache_write"):
        told = [getattr(quote, kind) for quote in quotes.values() if getattr(quote, kind) not in (None, "0")]
        mine = getattr(price, kind) or price.input
        for value in sorted(set(told)):
            if told.count(value) >= 2 and value != mine:
                lines.append(f"differs: {host} {name}: {kind}: ours {mine}; two sources {value}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the watchbill program")
    parser.add_argument("--site", required=True, help="the folder of Python's packages with litellm and genai-prices")
    parser.add_argument("--pi-ai", required=True, help="the folder of the package pi-ai")
    parser.add_argument("--least", type=float, default=95, help="the share in percent below which it fails")
    options = parser.parse_args()
    sources = [Litellm(options.site), GenaiPrices(options.site), PiAi(options.pi_ai)]
    asked, two, equal, lines = compare(options.binary, sources)
    print("\n".join(sorted(lines)))
    share = 100 * equal / max(two, 1)
    print(f"price_names_asked {asked} names")
    print(f"price_names_of_two_sources {two} names")
    print(f"price_names_agreeing {share:.1f} %")
    if share < options.least:
        sys.exit(f"fewer than {options.least:g} % agree with two sources")


if __name__ == "__main__":
    main()
