import createClient, { type Middleware } from "openapi-fetch";
import createHooks from "openapi-react-query";
import type { components, paths } from "./schema.gen";

export type Schemas = components["schemas"];

/** What the server answers instead of a result; RFC 9457. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly requestId: string | null,
  ) {
    super(detail);
  }
}

let csrfToken = "";
let onRefused = () => {};

export function setCsrfToken(token: string) {
  csrfToken = token;
}

/** Calls back when an answer says that the session may have ended. */
export function whenRefused(callback: () => void) {
  onRefused = callback;
}

export async function errorOf(response: Response): Promise<ApiError> {
  let code = "unknown";
  let detail = `the server answered ${response.status} ${response.statusText}`;
  try {
    const problem = (await response.json()) as Partial<Schemas["Problem"]>;
    code = problem.code ?? code;
    detail = [problem.field, problem.detail ?? problem.title ?? detail].filter(Boolean).join(": ");
  } catch {
    // A proxy's answer is no problem document: its status says enough.
  }
  return new ApiError(response.status, code, detail, response.headers.get("X-Request-Id"));
}

const middleware: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
    return request;
  },
  async onResponse({ response }) {
    if (response.ok) return;
    if (response.status === 401 || response.status === 403) onRefused();
    throw await errorOf(response.clone());
  },
};

export const client = createClient<paths, "application/json">({ baseUrl: window.location.origin });
client.use(middleware);

/** Hooks of TanStack Query, typed by the OpenAPI document. */
export const api = createHooks(client);

/** The address of an API call, for people to open or copy. */
export function apiUrl(
  path: string,
  query: Record<string, string | number | boolean | undefined> = {},
): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}
