import { useWords } from "../i18n";
import { Field } from "./field";

export const PASSWORD_LENGTH_MIN = 12;

export interface NewPasswordValue {
  password: string;
  again: string;
}

export const NO_PASSWORD: NewPasswordValue = { password: "", again: "" };

/** Whether both entries are a password that the box takes. */
export const isComplete = ({ password, again }: NewPasswordValue) =>
  password.length >= PASSWORD_LENGTH_MIN && password === again;

interface Props {
  value: NewPasswordValue;
  set: (value: NewPasswordValue) => void;
  /** Whether somebody tried to go on, so that what is missing is said. */
  tried: boolean;
}

/** A new password, twice. */
export function NewPassword({ value, set, tried }: Props) {
  const { t } = useWords();
  const short = value.password.length < PASSWORD_LENGTH_MIN;
  const differs = value.password !== value.again;
  return (
    <>
      <Field
        label={t("password.new")}
        type="password"
        autoComplete="new-password"
        isRequired
        value={value.password}
        set={(password) => {
          set({ ...value, password });
        }}
        help={t("password.rule", { count: PASSWORD_LENGTH_MIN })}
        fault={tried && short ? t("password.short", { count: PASSWORD_LENGTH_MIN }) : undefined}
      />
      <Field
        label={t("password.again")}
        type="password"
        autoComplete="new-password"
        isRequired
        value={value.again}
        set={(again) => {
          set({ ...value, again });
        }}
        fault={differs && (tried || value.again.length >= value.password.length) ? t("password.differs") : undefined}
      />
    </>
  );
}
