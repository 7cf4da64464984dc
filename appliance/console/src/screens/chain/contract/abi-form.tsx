import {
  ActionGroup,
  Button,
  FileUpload,
  Form,
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
} from "@patternfly/react-core";
import { useState } from "react";
import { erc20Abi, type Abi } from "viem";
import { ABI_CHARACTERS_MAX, AbiError, parseAbi } from "../../../api/abi";
import { bytes } from "../../../format";
import { useWords } from "../../../i18n";

/** Takes a contract's ABI, pasted or as a file, and says what is wrong with it. */
export function AbiForm({ take }: { take: (abi: Abi) => void }) {
  const { t, language } = useWords();
  const [text, setText] = useState("");
  const [file, setFile] = useState("");
  const [fault, setFault] = useState<AbiError | null>(null);
  const submit = (event: React.SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    try {
      take(parseAbi(text));
    } catch (error) {
      setFault(error instanceof AbiError ? error : new AbiError("not-abi"));
    }
  };
  const set = (value: string) => {
    setText(value);
    setFault(null);
  };
  return (
    <Form onSubmit={submit}>
      <p>{t("contract.abi_why")}</p>
      <FormGroup label="ABI" fieldId="abi" isRequired>
        <FileUpload
          id="abi"
          type="text"
          value={text}
          filename={file}
          filenamePlaceholder={t("contract.abi_drop")}
          browseButtonText={t("common.choose_file")}
          clearButtonText={t("common.clear")}
          browseButtonAriaDescribedby="abi-help"
          aria-label="ABI"
          dropzoneProps={{ maxSize: ABI_CHARACTERS_MAX, accept: { "application/json": [".json", ".abi"] } }}
          onFileInputChange={(_, chosen) => {
            setFile(chosen.name);
          }}
          onDataChange={(_, data) => {
            set(data);
          }}
          onTextChange={(_, value) => {
            set(value);
          }}
          onClearClick={() => {
            setFile("");
            set("");
          }}
          validated={fault === null ? "default" : "error"}
          allowEditingUploadedText
        />
        <FormHelperText>
          <HelperText id="abi-help" isLiveRegion>
            <HelperTextItem variant={fault === null ? "default" : "error"}>
              {fault === null
                ? t("contract.abi_help")
                : t(`contract.abi_${fault.fault}`, {
                    entry: fault.entry,
                    max: bytes(ABI_CHARACTERS_MAX, language),
                  })}
            </HelperTextItem>
          </HelperText>
        </FormHelperText>
      </FormGroup>
      <ActionGroup>
        <Button type="submit" isDisabled={text.trim() === ""}>
          {t("contract.abi_use")}
        </Button>
        <Button
          variant="secondary"
          onClick={() => {
            take(erc20Abi);
          }}
        >
          {t("contract.abi_erc20")}
        </Button>
      </ActionGroup>
    </Form>
  );
}
