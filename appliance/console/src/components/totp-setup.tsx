import { ActionGroup, Button, Form, Spinner } from "@patternfly/react-core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../api/client";
import type { Api } from "../api/types";
import { useWords } from "../i18n";
import { Copyable } from "./copyable";
import { Field } from "./field";
import { ProblemAlert } from "./problem-alert";
import { Qr } from "./qr";

export const TOTP_DIGITS = 6;

interface Props {
  confirmed: (codes: string[]) => void;
  back?: () => void;
}

/** Sets an authenticator app up: its secret as a QR code and as text, and a first code that shows that it works. */
export function TotpSetup({ confirmed, back }: Props) {
  const { t } = useWords();
  const [code, setCode] = useState("");
  // One secret for each time that this is shown.
  const start = useQuery({
    queryKey: ["totp-start"],
    queryFn: () => post<Api<"TotpEnrolment">>("/me/totp"),
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
  });
  const confirm = useMutation({
    mutationFn: () => post<Api<"RecoveryCodes">>("/me/totp/confirm", { totp: code }),
    onSuccess: ({ recovery_codes }) => {
      confirmed(recovery_codes);
    },
  });
  if (start.isPending) return <Spinner aria-label={t("common.loading")} />;
  if (start.isError) return <ProblemAlert error={start.error} />;
  return (
    <Form
      onSubmit={(event) => {
        event.preventDefault();
        confirm.mutate();
      }}
    >
      <p>{t("factor.totp_scan")}</p>
      <Qr text={start.data.otpauth_uri} label={t("factor.totp_qr")} />
      <p>
        {t("factor.totp_secret")} <Copyable value={start.data.secret_base32} what={t("factor.totp_secret_name")} full />
      </p>
      <Field
        label={t("factor.totp_code")}
        value={code}
        set={(value) => {
          setCode(value.replaceAll(/\D/g, "").slice(0, TOTP_DIGITS));
        }}
        inputMode="numeric"
        autoComplete="one-time-code"
        isRequired
        help={t("factor.totp_code_help")}
      />
      {confirm.isError && <ProblemAlert error={confirm.error} />}
      <ActionGroup>
        <Button
          type="submit"
          isLoading={confirm.isPending}
          isDisabled={code.length !== TOTP_DIGITS || confirm.isPending}
        >
          {t("factor.totp_confirm")}
        </Button>
        {back && (
          <Button variant="link" onClick={back}>
            {t("common.back")}
          </Button>
        )}
      </ActionGroup>
    </Form>
  );
}
