#!/usr/bin/env bash
# When OpenAI serves a request from the tier flex or priority, langchain-openai renames the details in usage_metadata: cache_read
# becomes flex_cache_read, reasoning becomes flex_reasoning, and so on. The tier of the response decides, not that of the
# request, which here names none. So code that reads input_token_details["cache_read"] loses the cached tokens without
# any change.
#
# There is also a new detail with the tier's name: the tokens less those read from the cache. Those written to it are
# not subtracted, so the details of the input add up to more than the input.
#
# Seen with langchain-openai 1.7.4, langchain-core 1.8.3, openai 3.57.0, Python 3.11.
#
# Each response says 100 input tokens, 40 of them read from the cache and 10 written to it, and 20 output tokens, 5 of
# them of reasoning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check langchain-openai==1.7.4 langchain-core==1.8.3 openai==3.57.0
cat >main.py <<'PY'
import http.server, json, threading

tier = None

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert "service_tier" not in asked
        kind, answer = "application/json", {"model": "gpt-5", "service_tier": tier}
        if self.path.endswith("/responses"):
            answer |= {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "tools": [], "tool_choice": "auto", "parallel_tool_calls": True,
                       "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}],
                       "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
                                 "output_tokens_details": {"reasoning_tokens": 5}}}
            body = json.dumps(answer)
        else:
            usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
                     "completion_tokens_details": {"reasoning_tokens": 5}}
            said = {"role": "assistant", "content": "Hi"}
            if asked.get("stream"):
                kind, answer = "text/event-stream", answer | {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1}
                chunks = [answer | {"choices": [{"index": 0, "delta": said, "finish_reason": None}]},
                          answer | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                          answer | {"choices": [], "usage": usage}]
                body = "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n"
            else:
                body = json.dumps(answer | {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "usage": usage,
                                            "choices": [{"index": 0, "finish_reason": "stop", "message": said}]})
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

from langchain_openai import ChatOpenAI

def ask(**options):
    return ChatOpenAI(model="gpt-5", api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0, **options)

def stream():
    parts = list(ask(stream_usage=True).stream("Hi"))
    return sum(parts[1:], parts[0])

ways = {
    "chat completion": lambda: ask().invoke("Hi"),
    "streamed chat completion": stream,
    "response": lambda: ask(use_responses_api=True).invoke("Hi"),
}
for way, call in ways.items():
    for tier in ("default", "flex", "priority"):
        used = call().usage_metadata
        print(f"{way}, {tier}:")
        for side in ("input", "output"):
            details = used[f"{side}_token_details"]
            print(f"  {side} {used[f'{side}_tokens']}:", ", ".join(f"{name} {details[name]}" for name in sorted(details)), "=", sum(details.values()))
PY
got=$(NO_PROXY='*' no_proxy='*' venv/bin/python -W ignore main.py)
want='chat completion, default:
  input 100: cache_creation 10, cache_read 40 = 50
  output 20: reasoning 5 = 5
chat completion, flex:
  input 100: flex 60, flex_cache_creation 10, flex_cache_read 40 = 110
  output 20: flex 15, flex_reasoning 5 = 20
chat completion, priority:
  input 100: priority 60, priority_cache_creation 10, priority_cache_read 40 = 110
  output 20: priority 15, priority_reasoning 5 = 20
streamed chat completion, default:
  input 100: cache_creation 10, cache_read 40 = 50
  output 20: reasoning 5 = 5
streamed chat completion, flex:
  input 100: flex 60, flex_cache_creation 10, flex_cache_read 40 = 110
  output 20: flex 15, flex_reasoning 5 = 20
streamed chat completion, priority:
  input 100: priority 60, priority_cache_creation 10, priority_cache_read 40 = 110
  output 20: priority 15, priority_reasoning 5 = 20
response, default:
  input 100: cache_creation 10, cache_read 40 = 50
  output 20: reasoning 5 = 5
response, flex:
  input 100: flex 60, flex_cache_creation 10, flex_cache_read 40 = 110
  output 20: flex 15, flex_reasoning 5 = 20
response, priority:
  input 100: priority 60, priority_cache_creation 10, priority_cache_read 40 = 110
  output 20: priority 15, priority_reasoning 5 = 20'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
