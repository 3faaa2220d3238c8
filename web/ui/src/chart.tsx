// Stacked bars by verdict. Drag over some hours to see their transfers in the list.
import { useEffect, useRef } from 'preact/hooks';
import type { VNode } from 'preact';
import { batch } from '@preact/signals';
import uPlot from 'uplot';
import { count, timeOf, dateOf } from './format';
import { from, theme, to, utc } from './state';
import { verdicts } from './words';
import type { Stat } from './words';

const stacked = [...verdicts].reverse(); // drawn from the tallest stack to the lowest

export function Chart({ hours }: { hours: Stat[] }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const read = useRef<HTMLParagraphElement>(null);
  const latest = useRef(hours);
  latest.current = hours;
  const mode = `${theme.value} ${utc.value}`;

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(el, latest, read), stack(latest.current), el);
    };
    draw();
    const size = new ResizeObserver(() => plot.current?.setSize({ width: el.clientWidth, height: el.clientHeight }));
    size.observe(el);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    return () => {
      size.disconnect();
      dark.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [mode]);
  useEffect(() => plot.current?.setData(stack(hours)), [hours]);

  const sum = hours.reduce((n, h) => n + h.transfers, 0);
  return (
    <>
      <div class="plot" ref={box} role="img" aria-label={`Bar chart: ${count(sum)} transfers by hour and verdict; the button above shows the same as a table`} />
      <p class="readout" ref={read} aria-hidden="true" />
    </>
  );
}

/** The sums from the bottom up: uPlot draws lines over each other and knows no stacks. */
function stack(hours: Stat[]): uPlot.AlignedData {
  const x = hours.map((h) => Date.parse(h.key) / 1000);
  const below = hours.map(() => 0);
  const sums = new Map(verdicts.map((v) => [v, hours.map((h, i) => (below[i] = (below[i] ?? 0) + (h.verdicts?.[v] ?? 0)))]));
  return [x, ...stacked.map((v) => sums.get(v) ?? [])];
}

function options(el: HTMLElement, hours: { current: Stat[] }, read: { current: HTMLElement | null }): uPlot.Options {
  const ink = colour(el, 'ink2');
  const grid = { stroke: colour(el, 'line'), width: 1 };
  const asUTC = utc.value;
  const bars = uPlot.paths.bars?.({ size: [0.82, 28], align: 1, gap: 1 });
  const axis = { stroke: ink, font: '11px system-ui, sans-serif', grid, ticks: { show: false } };
  return {
    width: el.clientWidth,
    height: el.clientHeight,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    ...(asUTC ? { tzDate: (ts: number) => uPlot.tzDate(new Date(ts * 1000), 'Etc/UTC') } : {}),
    scales: {
      x: { time: true, range: (_, low, high) => [low, (high ?? 0) + 3600] },
      y: { range: (_, __, high) => [0, Math.max(4, (high ?? 0) * 1.08)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 22, gap: 3, space: 58, values: (_, at) => at.map((s) => tick(s, asUTC)) },
      { ...axis, size: 44, gap: 4, space: 28, values: (_, at) => at.map((n) => (Number.isInteger(n) ? count(n) : '')) },
    ],
    series: [{}, ...stacked.map((v) => ({ label: v, fill: colour(el, `v-${v}`), stroke: colour(el, `v-${v}`), width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) }))],
    hooks: {
      setCursor: [(u) => {
        const h = u.cursor.idx == null ? undefined : hours.current[u.cursor.idx];
        if (read.current) read.current.textContent = h ? say(h, asUTC) : '';
      }],
      setSelect: [(u) => {
        if (u.select.width < 3) return;
        const at = (px: number): string => new Date(Math.floor(u.posToVal(px, 'x') / 3600) * 3_600_000).toISOString().replace('.000', '');
        const end = new Date(Date.parse(at(u.select.left + u.select.width)) + 3_600_000).toISOString().replace('.000', '');
        batch(() => {
          from.value = at(u.select.left);
          to.value = end;
        });
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
}

function tick(seconds: number, asUTC: boolean): string {
  const iso = new Date(seconds * 1000).toISOString();
  const time = timeOf(iso, asUTC).slice(0, 5);
  return time === '00:00' ? dateOf(iso, asUTC).slice(5) : time;
}

function say(h: Stat, asUTC: boolean): string {
  const parts = verdicts.filter((v) => h.verdicts?.[v]).map((v) => `${count(h.verdicts?.[v] ?? 0)} ${v}`);
  return `${dateOf(h.key, asUTC)} ${timeOf(h.key, asUTC).slice(0, 5)}  ${parts.join(', ') || 'nothing'}`;
}

/** A canvas knows no custom properties: an element that wears the colour tells what it is now. */
function colour(near: HTMLElement, name: string): string {
  const probe = document.createElement('i');
  probe.className = `probe c-${name}`;
  near.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}
