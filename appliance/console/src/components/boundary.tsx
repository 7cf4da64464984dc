import { Button, EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from "@patternfly/react-core";
import { Component, type ReactNode } from "react";
import { useWords } from "../i18n";

interface Props {
  /** Another screen is tried anew. */
  place: string;
  children: ReactNode;
}

/** Holds a screen that fails: its code may be gone with an update of the box, or not have come over the network. */
export class Boundary extends Component<Props, { failed: boolean; place: string }> {
  override state = { failed: false, place: this.props.place };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  static getDerivedStateFromProps({ place }: Props, state: { place: string }) {
    return place === state.place ? null : { failed: false, place };
  }

  override render() {
    return this.state.failed ? <Failed /> : this.props.children;
  }
}

function Failed() {
  const { t } = useWords();
  return (
    <EmptyState titleText={t("shell.failed")} headingLevel="h1" status="danger" role="alert">
      <EmptyStateBody>{t("shell.failed_why")}</EmptyStateBody>
      <EmptyStateFooter>
        <EmptyStateActions>
          <Button
            onClick={() => {
              window.location.reload();
            }}
          >
            {t("shell.reload")}
          </Button>
        </EmptyStateActions>
      </EmptyStateFooter>
    </EmptyState>
  );
}
