import "@patternfly/patternfly/patternfly-charts.css";
import { Chart, ChartAxis, ChartBar, ChartGroup, ChartThemeColor } from "@patternfly/react-charts/victory";
import { decimal } from "../format";
import { useWords } from "../i18n";
import { useWidth } from "./series-chart";

const HEIGHT_PX = 300;
const PADDING = { top: 12, right: 16, bottom: 72, left: 56 };
const BAR_PX = 18;

interface Props {
  series: { name: string; values: { x: string; y: number }[] }[];
  label: string;
}

/** Groups of bars with a legend. */
export function BarsChart({ series, label }: Props) {
  const { t, language } = useWords();
  const { box, width } = useWidth();
  return (
    <div ref={box} className="dolmen-chart">
      {width > 0 && (
        <Chart
          width={width}
          height={HEIGHT_PX}
          padding={PADDING}
          domainPadding={{ x: [50, 50] }}
          ariaTitle={label}
          name="bars"
          legendData={series.map(({ name }) => ({ name }))}
          legendPosition="bottom-left"
          themeColor={ChartThemeColor.multiOrdered}
        >
          <ChartAxis />
          <ChartAxis
            dependentAxis
            showGrid
            tickFormat={(value: number) => t("acceleration.times", { value: decimal(value, language) })}
          />
          <ChartGroup offset={BAR_PX + 4}>
            {series.map(({ name, values }) => (
              <ChartBar key={name} data={values} barWidth={BAR_PX} />
            ))}
          </ChartGroup>
        </Chart>
      )}
    </div>
  );
}
