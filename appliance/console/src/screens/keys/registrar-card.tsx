import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { post } from "../../api/client";
import { queryClient } from "../../api/session";
import type { Api } from "../../api/types";
import { useNotice } from "../../components/notices";
import { ProblemAlert } from "../../components/problem-alert";
import { ProvisioningFacts } from "../../components/provisioning";
import { RoleButton } from "../../components/role";
import { useWords } from "../../i18n";

/** The certificate of the box's registrar, and another one now. */
export function RegistrarCard({ provisioning }: { provisioning: Api<"Provisioning"> }) {
  const { t } = useWords();
  const say = useNotice();
  const renew = useMutation({
    mutationFn: () => post("/certificate/renew"),
    onSuccess: async () => {
      say(t("provisioning.renewing"));
      await Promise.all(["status", "keys"].map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
    },
  });
  return (
    <Card>
      <CardTitle component="h2">{t("provisioning.title")}</CardTitle>
      <CardBody>
        <ProvisioningFacts provisioning={provisioning} />
        {renew.isError && <ProblemAlert error={renew.error} className="dolmen-gap-above" />}
        <RoleButton
          needs="security-officer"
          variant="secondary"
          className="dolmen-gap-above"
          isLoading={renew.isPending}
          isDisabled={renew.isPending}
          onClick={() => {
            renew.mutate();
          }}
        >
          {t("provisioning.renew")}
        </RoleButton>
      </CardBody>
    </Card>
  );
}
