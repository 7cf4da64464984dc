import { Content, Flex, FlexItem, PageSection, Title } from "@patternfly/react-core";
import { useEffect, useRef, type ReactNode } from "react";
import { useLocation } from "react-router";

/** Whether this page was reached by a link of this console rather than loaded. */
let navigated = false;

interface Props {
  title: string;
  intro?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
  children: ReactNode;
}

/** A screen of the console. Its heading takes the focus where somebody came here by a link. */
export function Screen({ title, intro, actions, above, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    if (navigated) heading.current?.focus();
    navigated = true;
  }, [pathname]);
  return (
    <>
      <title>{`${title} · Dolmen`}</title>
      <PageSection hasBodyWrapper={false} className="dolmen-head">
        {above}
        <Flex
          justifyContent={{ default: "justifyContentSpaceBetween" }}
          alignItems={{ default: "alignItemsFlexStart" }}
          gap={{ default: "gapMd" }}
        >
          <FlexItem>
            <Title headingLevel="h1" size="2xl" ref={heading} tabIndex={-1}>
              {title}
            </Title>
            {intro !== undefined && (
              <Content component="p" className="dolmen-intro">
                {intro}
              </Content>
            )}
          </FlexItem>
          {actions !== undefined && <FlexItem>{actions}</FlexItem>}
        </Flex>
      </PageSection>
      <PageSection hasBodyWrapper={false} isFilled>
        {children}
      </PageSection>
    </>
  );
}
