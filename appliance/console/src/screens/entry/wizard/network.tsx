import { Button } from "@patternfly/react-core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { request } from "../../../api/client";
import { networkQuery } from "../../../api/queries";
import { queryClient } from "../../../api/session";
import type { Api } from "../../../api/types";
import { Fact, Facts } from "../../../components/facts";
import { NetworkForm } from "../../../components/network-form";
import { QueryView } from "../../../components/query-view";
import { useWords } from "../../../i18n";

/** Sets the box's address and time servers, or leaves them as they are. */
export function NetworkStep({ next, back }: { next: () => void; back: () => void }) {
  const { t } = useWords();
  const query = useQuery(networkQuery);
  const save = useMutation({
    mutationFn: (body: Api<"NetworkConfig">) => request<Api<"Network">>("PUT", "/network", { body }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: networkQuery.queryKey });
      next();
    },
  });
  return (
    <QueryView query={query}>
      {({ config, interfaces }) => (
        <div className="dolmen-stack">
          <p>{t("wizard.network_what")}</p>
          <Facts>
            <Fact term={t("wizard.network_now")}>
              {interfaces.flatMap(({ addresses }) => addresses).join(", ") || "–"}
            </Fact>
          </Facts>
          {config && (
            <NetworkForm
              config={config}
              interfaces={interfaces}
              submit={save.mutate}
              label={t("wizard.save")}
              busy={save.isPending}
              error={save.error}
            >
              <Button variant="secondary" onClick={next}>
                {t("wizard.skip")}
              </Button>
              <Button variant="link" onClick={back}>
                {t("common.back")}
              </Button>
            </NetworkForm>
          )}
        </div>
      )}
    </QueryView>
  );
}
