import { Form } from "@patternfly/react-core";
import { useConsortium, useStatus } from "../../../api/queries";
import { Fact, Facts } from "../../../components/facts";
import { ProvisioningFacts } from "../../../components/provisioning";
import { QueryView } from "../../../components/query-view";
import { useWords } from "../../../i18n";
import { Buttons, submit } from "./steps";

/** Admission may be near. */
const REFRESH_MS = 5_000;

/** Says whose the box is, and how it stands with that organisation's registrar. Nothing is to be entered. */
export function OrganisationStep({ next, back }: { next: () => void; back: () => void }) {
  const { t } = useWords();
  const status = useStatus(REFRESH_MS);
  // A box that is not admitted yet is not among them, and one that catches up cannot say.
  const consortium = useConsortium();
  const key = status.data?.keys.find(({ use }) => use === "consensus")?.public_key;
  const own = consortium.data?.boxes.find(({ public_key }) => public_key === key);
  const organisation = own?.organisation ?? undefined;
  return (
    <Form onSubmit={submit(next)}>
      <QueryView query={status}>
        {({ provisioning }) =>
          provisioning ? (
            <>
              <p>{t("wizard.organisation_what")}</p>
              <ProvisioningFacts provisioning={provisioning} organisation={organisation} />
            </>
          ) : (
            <>
              <p>{t("wizard.organisation_files")}</p>
              {organisation !== undefined && (
                <Facts>
                  <Fact term={t("consortium.organisation")}>{organisation}</Fact>
                </Facts>
              )}
            </>
          )
        }
      </QueryView>
      <Buttons next={t("common.continue")} disabled={status.isPending} back={back} />
    </Form>
  );
}
