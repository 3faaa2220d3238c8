// Numbers and times for people. Times are ISO, 24 h, in UTC or local time.

const two = (n: number): string => String(n).padStart(2, '0');

export function dateOf(iso: string, utc: boolean): string {
  const d = new Date(iso);
  return utc
    ? `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`
    : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export function timeOf(iso: string, utc: boolean, millis = false): string {
  const d = new Date(iso);
  const ms = millis ? '.' + String(d.getUTCMilliseconds()).padStart(3, '0') : '';
  return utc
    ? `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}${ms}`
    : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}${ms}`;
}

export function stamp(iso: string | undefined, utc: boolean): string {
  return iso ? `${dateOf(iso, utc)} ${timeOf(iso, utc, true)}${utc ? ' UTC' : ''}` : '';
}

export const count = (n: number): string => n.toLocaleString('en-US');

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(n: number | undefined): string {
  if (n === undefined) return '';
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

export function took(ms: number | undefined): string {
  if (ms === undefined) return '';
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}m ${two(Math.floor(ms / 1000) % 60)}s`;
  return `${Math.floor(ms / 3_600_000)}h ${two(Math.floor(ms / 60_000) % 60)}m`;
}

export function span(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** Milliseconds from one time to another, to the microsecond: Date keeps whole milliseconds only. */
export function between(from: string, to: string): number {
  const micros = (iso: string): number => Number((/\.(\d+)/.exec(iso)?.[1] ?? '').padEnd(6, '0').slice(0, 6)) / 1000;
  return Math.floor(Date.parse(to) / 1000) * 1000 - Math.floor(Date.parse(from) / 1000) * 1000 + micros(to) - micros(from);
}
