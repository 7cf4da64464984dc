import "@patternfly/patternfly/patternfly-charts.css";
import { Chart, ChartArea, ChartAxis, ChartGroup, ChartThemeColor } from "@patternfly/react-charts/victory";
import { useEffect, useRef, useState } from "react";
import { decimal } from "../format";
import { useWords } from "../i18n";

const HEIGHT_PX = 280;
const NARROW_PX = 420;
const PADDING = { top: 12, right: 16, bottom: 36, left: 64 };

interface Props {
  /** One for each second, oldest first; null where it is not known. */
  values: (number | null)[];
  label: string;
}

/** A width that follows the element's own. */
export function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([entry]) => {
      setWidth(Math.floor(entry?.contentRect.width ?? 0));
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
    };
  }, []);
  return { box, width };
}

/** Values of the last seconds as an area; its label says to a screen reader what the picture shows. */
export function SeriesChart({ values, label }: Props) {
  const { t, language } = useWords();
  const { box, width } = useWidth();
  const data = values.map((y, x) => ({ x, y }));
  const last = Math.max(1, values.length - 1);
  const highest = Math.max(1, ...values.map((value) => value ?? 0));
  return (
    <div ref={box} className="dolmen-chart">
      {width > 0 && (
        <Chart
          width={width}
          height={HEIGHT_PX}
          padding={PADDING}
          domain={{ x: [0, last], y: [0, highest * 1.1] }}
          themeColor={ChartThemeColor.teal}
          name="series"
          ariaTitle={label}
        >
          <ChartAxis
            tickValues={(width < NARROW_PX ? [40, 20, 0] : [50, 40, 30, 20, 10, 0]).map((ago) => last - ago)}
            tickFormat={(value: number) => t("chart.seconds", { value: value - last })}
          />
          <ChartAxis dependentAxis showGrid tickCount={4} tickFormat={(value: number) => decimal(value, language)} />
          <ChartGroup>
            <ChartArea data={data} interpolation="linear" />
          </ChartGroup>
        </Chart>
      )}
    </div>
  );
}
