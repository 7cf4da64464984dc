import { Alert, Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import type { Api } from "../../api/types";
import { Fact, Facts } from "../../components/facts";
import { Nothing } from "../../components/query-view";
import { time } from "../../format";
import { useWords, wordOr } from "../../i18n";

const STATE: Record<string, "info" | "success" | "danger"> = {
  open: "info",
  executed: "success",
  accepted: "success",
  rejected: "danger",
  expired: "danger",
};

/** What the consortium decides, and who voted how. */
export function Proposals({ data }: { data: Api<"Consortium"> }) {
  const { t, language } = useWords();
  const { proposals } = data;
  return (
    <div className="dolmen-stack">
      <Alert variant="info" isInline isPlain title={t("consortium.how_to_vote")}>
        <code className="dolmen-code">dolmen gov vote NUMBER yes</code>
      </Alert>
      {proposals.length === 0 && (
        <Nothing title={t("consortium.no_proposals")} text={t("consortium.no_proposals_why")} />
      )}
      {proposals.map((proposal) => (
        <Card key={proposal.id}>
          <CardTitle component="h2">{proposal.text}</CardTitle>
          <CardBody>
            <Facts>
              <Fact term={t("common.state")}>
                <Label status={STATE[proposal.state ?? ""] ?? "info"}>
                  {wordOr("consortium", `state_${proposal.state}`, proposal.state ?? "–")}
                </Label>
              </Fact>
              <Fact term={t("consortium.number")}>
                {proposal.id} ({proposal.kind ?? "–"})
              </Fact>
              <Fact term={t("consortium.proposer")}>{proposal.proposer}</Fact>
              <Fact term={t("consortium.opened")}>{time(proposal.opened_at, language)}</Fact>
              <Fact term={t("consortium.expires")}>{time(proposal.expires_at, language)}</Fact>
              <Fact term={t("consortium.votes")}>
                <ul className="dolmen-plain-list">
                  {data.organisations.map(({ name }) => (
                    <Vote key={name} organisation={name} votes={proposal.votes} />
                  ))}
                </ul>
              </Fact>
            </Facts>
          </CardBody>
        </Card>
      ))}
    </div>
  );
}

function Vote({ organisation, votes }: { organisation: string; votes: { organisation: string; approve: boolean }[] }) {
  const { t } = useWords();
  const vote = votes.find((one) => one.organisation === organisation);
  return (
    <li>
      {organisation}{" "}
      {vote === undefined ? (
        <Label variant="outline">{t("consortium.vote_none")}</Label>
      ) : vote.approve ? (
        <Label status="success">{t("consortium.vote_yes")}</Label>
      ) : (
        <Label status="danger">{t("consortium.vote_no")}</Label>
      )}
    </li>
  );
}
