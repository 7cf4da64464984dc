import { Card, CardBody, CardTitle, Title } from "@patternfly/react-core";
import { useEffect, useRef, type ReactNode } from "react";
import { LanguageMenu, ThemeButton } from "../../components/choices";
import { Mark } from "../../components/mark";
import { useWords } from "../../i18n";

interface Props {
  boxName: string;
  title: string;
  /** Changes where the screen shows another step, whose heading then takes the focus. */
  step?: string;
  wide?: boolean;
  above?: ReactNode;
  children: ReactNode;
}

let shownBefore = false;

/** The frame of what one meets before the console: a bar, a heading and a card. */
export function EntryLayout({ boxName, title, step = "", wide = false, above, children }: Props) {
  const { t } = useWords();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (shownBefore) heading.current?.focus();
    shownBefore = true;
  }, [title, step]);
  return (
    <div className="dolmen-entry">
      <title>{`${title} · Dolmen`}</title>
      <header className="dolmen-entry-bar">
        <span className="dolmen-brand">
          <Mark />
          <span>
            <strong>Dolmen</strong>
            <span className="dolmen-box-name">{boxName}</span>
          </span>
        </span>
        <span>
          <ThemeButton />
          <LanguageMenu />
        </span>
      </header>
      <main className={wide ? "dolmen-entry-main dolmen-entry-main-wide" : "dolmen-entry-main"}>
        {above}
        <Card isLarge>
          <CardTitle>
            <Title headingLevel="h1" size="xl" ref={heading} tabIndex={-1}>
              {title}
            </Title>
          </CardTitle>
          <CardBody>{children}</CardBody>
        </Card>
        <p className="dolmen-entry-foot">{t("entry.foot")}</p>
      </main>
    </div>
  );
}
