// The words of the records, as /api/v1 writes them. What is unknown is absent.

export type Verdict = 'active' | 'complete' | 'probe' | 'unproven' | 'failed' | 'aborted' | 'refused' | 'contradicted';

/** In the order in which tables and charts show them. */
export const verdicts: readonly Verdict[] = ['active', 'complete', 'probe', 'unproven', 'failed', 'aborted', 'refused', 'contradicted'];

/** The verdicts that a person must look at. */
export const failures: readonly Verdict[] = ['failed', 'aborted', 'refused', 'contradicted'];

export interface Party { ip?: string; port?: number; software?: string }

export interface Evidence {
  at?: string; seen?: string; began?: string; host?: string; witness: string; kind: string; says: string;
  size?: number; moved?: number; expected?: number; digest?: string; reason?: string; error?: string;
  details?: Record<string, unknown>; raw?: string;
}

export interface Transfer {
  id: string; rev: number; merged?: string; host?: string; proto?: string; op?: string;
  start: string; end?: string; seen?: string; took_ms?: number;
  client?: Party; server?: Party; user?: string; pid?: number; exe?: string; who_why?: string; login?: string; session?: string;
  file?: string; path?: string; new_path?: string; to_class?: string; device?: string;
  expected?: number; bytes?: number; sha256?: string; md5?: string; content?: string;
  verdict?: Verdict; reason?: string; outcome?: string; witnesses?: string[]; against?: string[];
  details?: Record<string, unknown>; tags?: string[]; evidence?: Evidence[];
}

/** What one witness says of a transfer, taken alone, and what it lacks. */
export interface Lane {
  witness: string; side: 'for' | 'against' | 'silent' | 'absent'; verdict?: Verdict; reason?: string; alone?: string;
  facts?: { name: string; text: string }[]; lacks?: { what: string; more?: string }[];
}

export interface Told { transfer: Transfer; sentence: string; missing: string[]; lanes?: Lane[] }

/** "whole" where log and files agree and the packets alone are missing, else "". */
export const probably = (t: Transfer): string => (t.verdict === 'unproven' && t.details?.['probably'] === 'whole' ? 'whole' : '');

/** What stands beside the transfers: an event, a gap or a finding. */
export interface Beside {
  id: string; kind: string; at?: string; host?: string; witness?: string; client?: Party; server?: Party; user?: string; path?: string; text?: string;
  to_class?: string; device?: string;
  from?: string; to?: string; lost?: number; why?: string; rule?: string; severity?: string;
}

/** What is mounted, or a folder that a cloud client keeps in step. */
export interface Mount {
  path: string; to_class: string; device?: string; vendor?: string; model?: string; serial?: string; label?: string; share?: string; provider?: string;
  fs?: string; source?: string; read_only?: boolean; folder?: boolean; user?: string; since?: string; why?: string;
}

export interface Stat {
  key: string; transfers: number; uploads: number; downloads: number; bytes: number; searches?: number;
  verdicts?: Partial<Record<Verdict, number>>;
}

export type State = 'live' | 'starting' | 'blind' | 'failed' | 'off';
export interface Witness { name: string; state: State; since?: string; text?: string }
export interface Listener { proto: string; addr: string; root?: string; write?: string; state: State; text?: string; try?: string }
export interface Store { state: State; text?: string; bytes?: number; limit?: number }
export interface System {
  name: string; version: string; started: string; uptime_s: number; witnesses: Witness[]; listeners: Listener[];
  backlog: number; spool: Store; ledger: Store; streams: number; counters?: Record<string, number>;
}

/** Upload and download are what people say for put and get. */
export function opWord(op: string | undefined): string {
  switch (op) {
    case 'get': return 'download';
    case 'put': return 'upload';
    default: return op ?? '';
  }
}

/** What the server says about the closed list of reasons. */
export interface Words { reasons: { reason: string; verdict: Verdict; because: string }[] }
