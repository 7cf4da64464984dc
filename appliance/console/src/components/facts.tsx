import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
} from "@patternfly/react-core";
import type { ReactNode } from "react";

/** Names and values beside each other. */
export function Facts({ children, compact = true }: { children: ReactNode; compact?: boolean }) {
  return (
    <DescriptionList isHorizontal isCompact={compact} className="dolmen-facts">
      {children}
    </DescriptionList>
  );
}

export function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <DescriptionListGroup>
      <DescriptionListTerm>{term}</DescriptionListTerm>
      <DescriptionListDescription>{children}</DescriptionListDescription>
    </DescriptionListGroup>
  );
}
