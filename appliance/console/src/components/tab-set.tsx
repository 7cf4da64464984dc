import { Tab, Tabs, TabTitleText } from "@patternfly/react-core";
import type { ReactNode } from "react";
import { useSearchParams } from "react-router";

interface Props {
  label: string;
  tabs: { key: string; title: string; content: ReactNode }[];
}

/** Tabs whose choice stands in the address. */
export function TabSet({ label, tabs }: Props) {
  const [parameters, setParameters] = useSearchParams();
  const wanted = parameters.get("tab");
  const active = tabs.some(({ key }) => key === wanted) ? (wanted ?? "") : (tabs[0]?.key ?? "");
  return (
    <Tabs
      activeKey={active}
      aria-label={label}
      mountOnEnter
      unmountOnExit
      onSelect={(_, key) => {
        setParameters({ tab: String(key) }, { replace: true });
      }}
    >
      {tabs.map(({ key, title, content }) => (
        <Tab key={key} eventKey={key} title={<TabTitleText>{title}</TabTitleText>}>
          <div className="dolmen-gap-above">{content}</div>
        </Tab>
      ))}
    </Tabs>
  );
}
