import { Alert, Button, Loader } from "@mantine/core";
import { ApiError } from "../api/client";

export function Loading({ label }: { label: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      <Loader size="sm" />
    </div>
  );
}

function explain(error: unknown): { title: string; detail: string } {
  if (error instanceof ApiError) {
    const id = error.requestId ? ` (request ${error.requestId})` : "";
    if (error.status === 503) return { title: "The server cannot answer now", detail: error.detail + id };
    if (error.status === 429) return { title: "Too many requests", detail: error.detail + id };
    return { title: `The server refused this: ${error.code}`, detail: error.detail + id };
  }
  if (error instanceof TypeError) {
    return { title: "The server cannot be reached", detail: "Check the connection; the page tries again." };
  }
  return { title: "This cannot be shown", detail: error instanceof Error ? error.message : String(error) };
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, detail } = explain(error);
  return (
    <Alert color="red" variant="default" className="failure" title={title} role="alert">
      <p>{detail}</p>
      {retry && (
        <Button size="compact-xs" variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}

export function Empty({ children }: { children: React.ReactNode }) {
  return <div className="empty">{children}</div>;
}
