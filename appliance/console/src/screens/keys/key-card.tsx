import { Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import { useState } from "react";
import { post } from "../../api/client";
import { queryClient } from "../../api/session";
import type { Api } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { useNotice } from "../../components/notices";
import { CertificateStanding } from "../../components/provisioning";
import { RoleButton } from "../../components/role";
import { time } from "../../format";
import { useWords, wordOr } from "../../i18n";

/** Those that can be rotated: the consortium knows the box by the other one. */
type Use = "tls" | "api";
const isRotatable = (use: string): use is Use => use === "tls" || use === "api";

/** A key, and another one in its place. */
export function KeyCard({ box: key }: { box: Api<"Key"> }) {
  const { t, language } = useWords();
  const [asks, setAsks] = useState<Use | null>(null);
  const { certificate, use } = key;
  const name = wordOr("keys", `use_${use}`, use);
  return (
    <Card>
      <CardTitle component="h2">{name}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("keys.algorithm")}>{key.algorithm}</Fact>
          <Fact term={t("keys.held")}>
            <Label status={key.in === "device" ? "success" : "warning"}>
              {t(key.in === "device" ? "keys.in_device" : "keys.in_memory_place")}
            </Label>
          </Fact>
          <Fact term={t("keys.uri")}>
            <code className="dolmen-code">{key.uri}</code>
          </Fact>
          <Fact term={t("common.public_key")}>
            <Copyable value={key.public_key} what={t("common.public_key")} full />
          </Fact>
          {certificate ? (
            <>
              <Fact term={t("keys.certificate")}>
                <CertificateStanding standing={certificate.standing} />
              </Fact>
              <Fact term={t("keys.subject")}>{certificate.subject}</Fact>
              <Fact term={t("keys.issuer")}>{certificate.issuer}</Fact>
              <Fact term={t("keys.valid")}>
                {time(certificate.not_before, language)} – {time(certificate.not_after, language)}
              </Fact>
            </>
          ) : (
            <Fact term={t("keys.certificate")}>{t("keys.no_certificate")}</Fact>
          )}
        </Facts>
        {isRotatable(use) && (
          <RoleButton
            needs="security-officer"
            variant="secondary"
            className="dolmen-gap-above"
            aria-label={t("users.act_on", { act: t("keys.rotate"), name })}
            onClick={() => {
              setAsks(use);
            }}
          >
            {t("keys.rotate")}
          </RoleButton>
        )}
      </CardBody>
      {asks && (
        <Rotate
          use={asks}
          name={name}
          close={() => {
            setAsks(null);
          }}
        />
      )}
    </Card>
  );
}

function Rotate({ use, name, close }: { use: Use; name: string; close: () => void }) {
  const { t } = useWords();
  const say = useNotice();
  return (
    <Confirm
      danger
      title={t("keys.rotate_title", { name })}
      confirm={t("keys.rotate")}
      close={close}
      act={async () => {
        await post<Api<"RotatedKey">>(`/keys/${use}/rotate`);
        await queryClient.invalidateQueries({ queryKey: ["keys"] });
        say(t("keys.rotated"));
      }}
    >
      <p>{t(`keys.rotate_${use}`)}</p>
      <p>{t("keys.rotate_when")}</p>
    </Confirm>
  );
}
