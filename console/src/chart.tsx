/** Stacked columns over days, and a line to compare with, on uPlot. The table beside it has the
 * figures; the picture is described in a sentence. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];

export type Series = { name: string; values: number[] };

export function Columns(props: { label: string; ticks: string[]; series: Series[]; line?: Series | undefined; unit: string }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const identity = JSON.stringify([props.ticks, props.series, props.line, document.documentElement.dataset.theme]);
  useEffect(() => {
    const element = host.current;
    if (!element || props.ticks.length === 0) return undefined;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const stacked: number[][] = [];
    props.series.forEach((each, index) => {
      stacked.push(each.values.map((value, at) => value + (stacked[index - 1]?.[at] ?? 0)));
    });
    const bars = uPlot.paths.bars?.({ size: [0.72, 48], radius: 0.15 });
    const axis = {
      stroke: color("--muted"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    // The highest stack is drawn first, so that lower ones cover its foot.
    const order = props.series.map((_, index) => index).reverse();
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: 240,
      cursor: { show: false },
      legend: { show: false },
      padding: [12, 8, 0, 0],
      scales: {
        x: { time: false, range: [-0.6, props.ticks.length - 0.4] },
        y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          size: 28,
          grid: { show: false },
          splits: () => props.ticks.map((_, index) => index),
          values: (plot, splits) => {
            const step = Math.max(1, Math.ceil((splits.length * 34) / plot.width));
            return splits.map((index) => (index % step ? "" : (props.ticks[index] ?? "")));
          },
        },
        { ...axis, size: 56 },
      ],
      series: [
        {},
        ...order.map((index) => ({
          fill: color(COLORS[index % COLORS.length] ?? "--c1"),
          stroke: color(COLORS[index % COLORS.length] ?? "--c1"),
          width: 0,
          points: { show: false },
          ...(bars ? { paths: bars } : {}),
        })),
        ...(props.line ? [{ stroke: color("--muted"), width: 1.5, dash: [4, 4], points: { show: false } }] : []),
      ],
    };
    const plot = new uPlot(
      options,
      [props.ticks.map((_, index) => index), ...order.map((index) => stacked[index] ?? []), ...(props.line ? [props.line.values] : [])] as uPlot.AlignedData,
      element,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 240 }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [identity]);
  return (
    <figure class="chart">
      <div ref={host} role="img" aria-label={props.label} />
      <figcaption class="legend">
        {props.series.map((each, index) => (
          <span key={each.name}>
            <i class={`key k${(index % COLORS.length) + 1}`} />
            <bdi>{each.name}</bdi>
          </span>
        ))}
        {props.line && (
          <span>
            <i class="key dashed" />
            {props.line.name}
          </span>
        )}
        <span class="unit">{props.unit}</span>
      </figcaption>
    </figure>
  );
}
