// Calls of /api/v1. An answer that is not good becomes a Problem with the server's own words.

export class Problem extends Error {
  readonly status: number;
  readonly caret: string;
  readonly needs: string;
  constructor(status: number, body: { error?: string; caret?: string; needs?: string }) {
    super(body.error ?? `the server answered ${status}`);
    this.status = status;
    this.caret = body.caret ?? '';
    this.needs = body.needs ?? '';
  }
}

export function url(path: string, params: Record<string, string | number | undefined> = {}): string {
  const u = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') u.set(k, String(v));
  const text = u.toString();
  return `/api/v1/${path}${text ? '?' + text : ''}`;
}

async function answer<T>(r: Response): Promise<T> {
  const text = await r.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = { error: text.slice(0, 300) };
  }
  if (!r.ok) throw new Problem(r.status, body as { error?: string });
  return body as T;
}

export async function get<T>(path: string, params: Record<string, string | number | undefined> = {}, signal?: AbortSignal): Promise<T> {
  return answer<T>(await fetch(url(path, params), { signal: signal ?? null }));
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  return answer<T>(await fetch(url(path), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }));
}
