#!/usr/bin/env bash
# opentelemetry-instrumentation-openai-v2 asks for opentelemetry-util-genai from a development version on. That lets pip take
# pre-releases, so it installs a newer one, which has no module that the instrumentation imports: a plain pip install of it
# cannot be imported.
#
# Seen with opentelemetry-instrumentation-openai-v2 2.4b0 and opentelemetry-util-genai 1.3b0, openai 3.57.0, Python 3.11.
# With opentelemetry-util-genai 0.4b0 the import succeeds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
pip() { venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
try() {
	venv/bin/python -c 'from importlib.metadata import version
try:
    import opentelemetry.instrumentation.openai_v2
    result = "is imported"
except ImportError as e:
    result = f"{type(e).__name__}: {e}"
print("util-genai", version("opentelemetry-util-genai") + ":", result)'
}
{
	pip install openai==3.57.0 httpx==0.28.1 opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-util-genai==1.3b0
	try
	pip install opentelemetry-instrumentation-openai-v2==2.4b0 opentelemetry-util-genai==0.4b0
	try
} | tee seen.txt
diff seen.txt - <<'SEEN'
util-genai 1.3b0: ModuleNotFoundError: No module named 'opentelemetry.util.genai.instruments'
util-genai 0.4b0: is imported
SEEN
