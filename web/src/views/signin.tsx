import { Button, PasswordInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { useSignIn } from "../api/session";
import { takeCode } from "../lib/code";

function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return "The server cannot be reached. Try again.";
  if (error.status === 401 || error.status === 403)
    return "This token is not known, or gives no right to see the page.";
  if (error.status === 429) return "Too many attempts. Wait a little and try again.";
  return error.detail;
}

export function SignIn() {
  const signIn = useSignIn();
  const [token, setToken] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);

  // The link's code is used once, when the page is opened.
  useEffect(() => {
    const code = takeCode();
    if (!code) return;
    setBusy(true);
    signIn({ code }).catch(() => {
      setFault("The link has been used or has expired. Enter a token.");
      setBusy(false);
    });
  }, []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const given = token.trim();
    if (given === "") {
      setFault("Enter a token.");
      return;
    }
    setBusy(true);
    try {
      await signIn({ token: given });
    } catch (error) {
      setFault(explain(error));
      setBusy(false);
    }
  }

  return (
    <main className="alone">
      <form onSubmit={submit} className="signin">
        <h1>
          <img src="/ui/favicon.svg" alt="" width="24" height="24" /> Watchbill
        </h1>
        <p>Sign in with an admin token. It is exchanged for a session and not kept in this browser.</p>
        <PasswordInput
          label="Token"
          value={token}
          onChange={(e) => {
            setToken(e.currentTarget.value);
            setFault("");
          }}
          error={fault || undefined}
          autoComplete="current-password"
          autoFocus
        />
        <Button type="submit" loading={busy} fullWidth>
          Sign in
        </Button>
      </form>
    </main>
  );
}
