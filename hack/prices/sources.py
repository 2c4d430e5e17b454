"""The public price lists that the shipped prices are compared with, each asked for the models of a host.

A quote is the input, output and cache prices in USD per million tokens, as strings of decimals without
trailing zeros; None where the source says nothing.
"""

import datetime
import glob
import json
import os
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Optional

# AT is the time to query prices for: on a working day, outside DeepSeek's peak hours.
AT = datetime.datetime(2026, 11, 30, 12, 0, tzinfo=datetime.timezone.utc)

MILLION = Decimal(1_000_000)

# HOSTS maps the providers' names in prices.yaml to their names in each source.
# (litellm's litellm_provider values, genai-prices' provider ids, pi-ai's files)
HOSTS = {
    "openai": (["openai", "text-completion-openai"], ["openai"], ["openai"]),
    "azure": (["azure", "azure_ai", "azure_text"], ["azure"], ["azure"]),
    "anthropic": (["anthropic"], ["anthropic"], ["anthropic"]),
    "google": (["gemini"], ["google"], ["google"]),
    "vertex": (
        ["vertex_ai", "vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai-mistral_models",
         "vertex_ai-llama_models", "vertex_ai-embedding-models", "vertex_ai-deepseek_models", "vertex_ai-qwen_models",
         "vertex_ai-zai_models", "vertex_ai-openai_models", "vertex_ai-minimax_models", "vertex_ai-moonshot_models",
         "vertex_ai-ai21_models"],
        ["google"], ["google-vertex"]),
    "bedrock": (["bedrock", "bedrock_converse", "bedrock_mantle"], ["aws"], ["amazon-bedrock"]),
    "mistral": (["mistral", "codestral"], ["mistral"], ["mistral"]),
    "deepseek": (["deepseek"], ["deepseek"], ["deepseek"]),
    "xai": (["xai"], ["x-ai"], ["xai"]),
    "cohere": (["cohere", "cohere_chat"], ["cohere"], []),
    "groq": (["groq"], ["groq"], ["groq"]),
    "zai": (["zai"], ["zai"], ["zai"]),
    "moonshot": (["moonshot"], ["moonshotai"], ["moonshotai"]),
    "minimax": (["minimax"], ["minimax"], ["minimax"]),
    "alibaba": (["dashscope", "qwencloud", "qwen_ai_platform"], [], []),
    "perplexity": (["perplexity"], ["perplexity"], []),
    "meta": (["meta"], ["meta"], ["meta"]),
    "voyage": (["voyage"], ["voyageai"], []),
    "together": (["together_ai"], ["together"], ["together"]),
    "fireworks": (["fireworks_ai", "fireworks_ai-embedding-models"], ["fireworks"], ["fireworks"]),
    "deepinfra": (["deepinfra"], [], []),
    "cerebras": (["cerebras"], ["cerebras"], ["cerebras"]),
    "sambanova": (["sambanova"], ["huggingface_sambanova"], []),
    "nebius": (["nebius"], ["huggingface_nebius"], []),
    "novita": (["novita"], ["novita", "huggingface_novita"], []),
    "hyperbolic": (["hyperbolic"], ["huggingface_hyperbolic"], []),
    "nscale": (["nscale"], ["huggingface_nscale"], []),
    "ovhcloud": (["ovhcloud"], ["ovhcloud"], []),
    "baseten": (["baseten"], ["baseten"], ["baseten"]),
    "cloudflare": (["cloudflare"], ["cloudflare"], ["cloudflare-workers-ai"]),
    "databricks": (["databricks"], ["databricks"], []),
    "openrouter": (["openrouter"], ["openrouter"], ["openrouter"]),
    "vercel": (["vercel_ai_gateway"], [], ["vercel-ai-gateway"]),
    "github_copilot": (["github_copilot"], ["github-copilot"], ["github-copilot"]),
    "xiaomi": (["xiaomi_mimo"], [], ["xiaomi"]),
    "typesafe": (["typesafe"], ["typesafe"], ["typesafe"]),
}


def text(value) -> Optional[str]:
    if value is None:
        return None
    rounded = round(Decimal(str(value)), 6)
    return f"{rounded.normalize():f}"


@dataclass
class Quote:
    input: Optional[str] = None
    output: Optional[str] = None
    cache_read: Optional[str] = None
    cache_write: Optional[str] = None
    extra: dict = field(default_factory=dict)

    def __str__(self):
        parts = f"{self.input or 0} / {self.output or 0}"
        if self.cache_read not in (None, "0"):
            parts += f" r {self.cache_read}"
        if self.cache_write not in (None, "0"):
            parts += f" w {self.cache_write}"
        return parts

    def key(self):
        return self.input or "0", self.output or "0"


class Litellm:
    name = "litellm"

    def __init__(self, site):
        path = os.path.join(site, "litellm", "model_prices_and_context_window_backup.json")
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
        self.models = {}
        for key, entry in entries.items():
            if not isinstance(entry, dict) or key == "sample_spec":
                continue
            if "input_cost_per_token" not in entry and "output_cost_per_token" not in entry:
                continue
            self.models.setdefault(entry.get("litellm_provider", ""), {})[key] = entry

    # Prefixes by which litellm's router selects a provider; it does not send them to the provider.
    PREFIX = re.compile(r"^(text-completion-openai|text-completion-codestral|codestral|azure_ai|azure|vertex_ai|gemini|bedrock_mantle|bedrock|mistral|"
                        r"deepseek|xai|cohere_chat|cohere|groq|zai|moonshot|minimax|dashscope|qwencloud|qwen_ai_platform|"
                        r"perplexity|meta|voyage|together_ai|fireworks_ai|deepinfra|cerebras|sambanova|nebius|novita|"
                        r"hyperbolic|nscale|ovhcloud|baseten|cloudflare|databricks|openrouter|vercel_ai_gateway|"
                        r"github_copilot|xiaomi_mimo|typesafe|openai|anthropic|bigmodel)/")

    def names(self, host):
        found = {}
        for provider in HOSTS[host][0]:
            for key, entry in self.models.get(provider, {}).items():
                name = key if provider.startswith("openrouter") and not key.startswith("openrouter/") else self.PREFIX.sub("", key, count=1)
                found.setdefault(name, entry)
        return found

    def quotes(self, host):
        quotes = {name: self.quote(entry) for name, entry in self.names(host).items()}
        return {name: quote for name, quote in quotes.items() if quote.key() != ("0", "0") or quote.extra.get("mode") == "chat"}

    def quote(self, entry):
        rates = {
            "input": entry.get("input_cost_per_token"),
            "output": entry.get("output_cost_per_token"),
            "cache_read": entry.get("cache_read_input_token_cost"),
            "cache_write": entry.get("cache_creation_input_token_cost"),
        }
        if rates["output"] is None:  # of a model that generates only images
            rates["output"] = entry.get("output_cost_per_image_token")
        off_peak = entry.get("off_peak_pricing")
        if off_peak and any(self.within(w) for w in off_peak.get("windows", [])):
            for kind, field_name in (("input", "input_cost_per_token"), ("output", "output_cost_per_token"),
                                     ("cache_read", "cache_read_input_token_cost")):
                rates[kind] = off_peak.get(field_name, rates[kind])
        return Quote(**{k: text(Decimal(str(v)) * MILLION) if v is not None else None for k, v in rates.items()}, extra=entry)

    @staticmethod
    def within(window):
        if AT.isoweekday() not in window.get("weekdays", [1, 2, 3, 4, 5, 6, 7]):
            return False
        hours = window["hours_utc"]
        for span in [hours] if isinstance(hours, str) else hours:
            start, end = span.split("-")
            now = AT.strftime("%H:%M")
            if start <= now and (now < end or end == "00:00"):
                return True
        return False


class GenaiPrices:
    name = "genai-prices"

    def __init__(self, site):
        from genai_prices.data import providers

        self.providers = {provider.id: provider for provider in providers}

    def names(self, host):
        found = {}
        for provider in HOSTS[host][1]:
            for model in self.providers[provider].models:
                if re.match(r"^(global|regional)\.", model.id) is None:
                    found.setdefault(model.id, model)
        return found

    def quotes(self, host):
        return {name: self.quote_of(model) for name, model in self.names(host).items()}

    def ask(self, host, name):
        for provider in HOSTS[host][1]:
            model = self.providers[provider].find_model(name.lower(), all_providers=None)
            if model is not None:
                return self.quote_of(model)
        return None

    def quote_of(self, model):
        prices = model.get_prices(AT)
        values = {}
        for kind, attribute in (("input", "input_mtok"), ("output", "output_mtok"), ("cache_read", "cache_read_mtok"),
                                ("cache_write", "cache_write_mtok")):
            value = getattr(prices, attribute, None)
            value = getattr(value, "base", value)
            values[kind] = text(value)
        return Quote(**values, extra={"model": model, "prices": prices})


class PiAi:
    name = "pi-ai"

    def __init__(self, package):
        self.files = {}
        for path in sorted(glob.glob(os.path.join(package, "dist", "providers", "data", "*.json"))):
            with open(path, encoding="utf-8") as file:
                apis = json.load(file)
            models = {}
            for api in sorted(apis):
                for key in sorted(apis[api]):
                    model = apis[api][key]
                    if key.startswith("chat:") and model.get("cost"):
                        models.setdefault(model["id"], model)
            self.files[os.path.basename(path)[: -len(".json")]] = models

    def names(self, host):
        found = {}
        for file in HOSTS[host][2]:
            for name, model in self.files.get(file, {}).items():
                found.setdefault(name, model)
        return found

    def quotes(self, host):
        quotes = {}
        for name, model in self.names(host).items():
            cost = model["cost"]
            quotes[name] = Quote(text(cost["input"]), text(cost["output"]), text(cost.get("cacheRead")), text(cost.get("cacheWrite")), extra=model)
        return quotes
