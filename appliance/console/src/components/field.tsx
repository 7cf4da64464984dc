import {
  Button,
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
  InputGroup,
  InputGroupItem,
  TextInput,
  type TextInputProps,
} from "@patternfly/react-core";
import { EyeIcon } from "@patternfly/react-icons/dist/esm/icons/eye-icon";
import { EyeSlashIcon } from "@patternfly/react-icons/dist/esm/icons/eye-slash-icon";
import { useId, useState, type ReactNode } from "react";
import { useWords } from "../i18n";

interface Props extends Omit<TextInputProps, "onChange" | "value" | "ref" | "label"> {
  label: string;
  value: string;
  set: (value: string) => void;
  help?: ReactNode;
  /** Why the value will not do; none while it will. */
  fault?: string | undefined;
}

/** A labelled field of text with its help and, where the value will not do, the reason. */
export function Field({ label, value, set, help, fault, type = "text", ...props }: Props) {
  const id = useId();
  const { t } = useWords();
  const [shown, setShown] = useState(false);
  const isPassword = type === "password";
  const input = (
    <TextInput
      {...props}
      id={id}
      type={isPassword && shown ? "text" : type}
      value={value}
      onChange={(_, next) => {
        set(next);
      }}
      validated={fault === undefined ? "default" : "error"}
      {...(help === undefined && fault === undefined ? {} : { "aria-describedby": `${id}-help` })}
      {...(isPassword ? { spellCheck: "false" as const, autoCapitalize: "off" } : {})}
    />
  );
  return (
    <FormGroup label={label} fieldId={id} isRequired={props.isRequired === true}>
      {isPassword ? (
        <InputGroup>
          <InputGroupItem isFill>{input}</InputGroupItem>
          <InputGroupItem>
            <Button
              variant="control"
              aria-label={t(shown ? "common.hide_what" : "common.show_what", { what: label })}
              icon={shown ? <EyeSlashIcon /> : <EyeIcon />}
              onClick={() => {
                setShown(!shown);
              }}
            />
          </InputGroupItem>
        </InputGroup>
      ) : (
        input
      )}
      {(help !== undefined || fault !== undefined) && (
        <FormHelperText>
          <HelperText id={`${id}-help`} isLiveRegion>
            <HelperTextItem variant={fault === undefined ? "default" : "error"}>{fault ?? help}</HelperTextItem>
          </HelperText>
        </FormHelperText>
      )}
    </FormGroup>
  );
}
