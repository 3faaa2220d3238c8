// One shape for each verdict and state, so that colour is never the only sign.
import type { ComponentChildren, VNode } from 'preact';
import type { State, Verdict } from './words';

function Icon({ children, name }: { children: ComponentChildren; name: string }): VNode {
  return (
    <svg class={`icon i-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"
      fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">
      {children}
    </svg>
  );
}

const ring = <circle cx="8" cy="8" r="6.2" />;

const shapes: Record<Verdict, VNode> = {
  active: <><path d="M8 1.8a6.2 6.2 0 1 1-6.2 6.2" /><path d="M8 4.8v3.4l2.2 1.6" /></>,
  complete: <>{ring}<path d="m5.2 8.3 2 2 3.7-4.3" /></>,
  probe: <><circle cx="7" cy="7" r="4.6" /><path d="m10.5 10.5 3.3 3.3" /></>,
  unproven: <>{ring}<path d="M6.3 6.4a1.8 1.8 0 1 1 2.4 1.7c-.5.2-.7.5-.7 1M8 11.3v.1" /></>,
  failed: <>{ring}<path d="m5.8 5.8 4.4 4.4M10.2 5.8l-4.4 4.4" /></>,
  aborted: <><path d="M5.4 1.9h5.2l3.5 3.5v5.2l-3.5 3.5H5.4l-3.5-3.5V5.4z" /><path d="M5.5 8h5" /></>,
  refused: <>{ring}<path d="m3.8 12.2 8.4-8.4" /></>,
  contradicted: <><path d="M2 5.5h12M2 10.5h12" /><path d="m11.5 2-7 12" /></>,
};

export function VerdictIcon({ of }: { of: Verdict }): VNode {
  return <Icon name={of}>{shapes[of]}</Icon>;
}

/** The verdict whose sign and colour an outcome has. */
const outcomes: Record<string, Verdict> = { success: 'complete', failure: 'failed', unknown: 'unproven' };

/** What a record looks like: as its verdict, or as its outcome where it moves no content. */
export const look = (t: { verdict?: Verdict; outcome?: string }): Verdict => t.verdict ?? outcomes[t.outcome ?? ''] ?? 'active';

/** Icon, word and colour of a record. */
export function Judged({ of: t }: { of: { verdict?: Verdict; outcome?: string } }): VNode {
  const v = look(t);
  return <span class={`verdict v-${v}`}><VerdictIcon of={v} />{t.verdict ?? t.outcome ?? v}</span>;
}

/** Icon, word and colour of a verdict. */
export function VerdictMark({ of }: { of: Verdict | undefined }): VNode {
  const v = of ?? 'active';
  return <span class={`verdict v-${v}`}><VerdictIcon of={v} />{v}</span>;
}

const states: Record<State, VNode> = {
  live: <><circle cx="8" cy="8" r="2.2" fill="currentColor" /><path d="M4.5 4.5a5 5 0 0 0 0 7M11.5 4.5a5 5 0 0 1 0 7" /></>,
  starting: <><path d="M8 1.8a6.2 6.2 0 1 1-6.2 6.2" /></>,
  blind: <><path d="M2 8s2.2-3.8 6-3.8S14 8 14 8s-2.2 3.8-6 3.8S2 8 2 8zM3 13 13 3" /></>,
  failed: shapes.failed,
  off: <><path d="M8 2v5M4.6 4a5.4 5.4 0 1 0 6.8 0" /></>,
};

export function StateIcon({ of }: { of: State }): VNode {
  return <Icon name={`s-${of}`}>{states[of]}</Icon>;
}

const signs = {
  search: <><circle cx="7" cy="7" r="4.5" /><path d="m10.4 10.4 3.4 3.4" /></>,
  close: <path d="m3.5 3.5 9 9M12.5 3.5l-9 9" />,
  copy: <><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5" /></>,
  done: <path d="m3 8.5 3.3 3.3L13 4.5" />,
  sun: <><circle cx="8" cy="8" r="3" /><path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M3 13l1.1-1.1M11.9 4.1 13 3" /></>,
  moon: <path d="M13.5 9.7A5.8 5.8 0 0 1 6.3 2.5a5.8 5.8 0 1 0 7.2 7.2z" />,
  auto: <><circle cx="8" cy="8" r="6" /><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" /></>,
  up: <path d="M8 13V3M3.5 7.5 8 3l4.5 4.5" />,
  chart: <path d="M3 13.5v-5M8 13.5v-11M13 13.5v-7" />,
  table: <><rect x="2" y="3" width="12" height="10" rx="1" /><path d="M2 6.5h12M2 10h12M6.5 3v10" /></>,
  warn: <path d="M8 2 1.5 13.5h13zM8 6.5v3.5M8 12v.1" />,
  eyeoff: states.blind,
  key: <><circle cx="5" cy="8" r="3" /><path d="M8 8h6.5M12 8v2.5" /></>,
  download: <path d="M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11" />,
};

export function Sign({ of }: { of: keyof typeof signs }): VNode {
  return <Icon name={of}>{signs[of]}</Icon>;
}

/** The mark of the house: four strokes and one across. */
export function Mark(): VNode {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" focusable="false" fill="none" stroke-width="2.8" stroke-linecap="round">
      <path stroke="currentColor" d="M8.5 7.5v17M13.5 7.5v17M18.5 7.5v17M23.5 7.5v17" />
      <path class="stroke5" d="M4 22 28 10" />
    </svg>
  );
}
