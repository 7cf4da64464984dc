import { ActionGroup, Button, ExpandableSection, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Abi, AbiFunction, Address } from "viem";
import { readContract } from "viem/actions";
import { formatValue } from "../../../api/abi";
import { chain } from "../../../api/rpc";
import { ProblemAlert } from "../../../components/problem-alert";
import { Nothing } from "../../../components/query-view";
import { useWords } from "../../../i18n";
import { ArgumentFields, argumentsOf, functionsOf, signatureOf } from "./arguments";

interface Props {
  abi: Abi;
  address: Address;
}

/** What a contract answers without a transaction. */
export function ReadFunctions({ abi, address }: Props) {
  const { t } = useWords();
  const functions = functionsOf(abi, true);
  if (functions.length === 0) return <Nothing title={t("contract.no_reads")} text={t("contract.no_reads_why")} />;
  return functions.map((entry) => <ReadFunction key={signatureOf(entry)} entry={entry} address={address} />);
}

function ReadFunction({ entry, address }: { entry: AbiFunction; address: Address }) {
  const { t } = useWords();
  const [typed, setTyped] = useState<string[]>([]);
  const [tried, setTried] = useState(false);
  const read = useMutation({
    mutationFn: (args: unknown[]) => readContract(chain, { abi: [entry], address, functionName: entry.name, args }),
  });
  return (
    <ExpandableSection toggleText={signatureOf(entry)} isIndented className="dolmen-function">
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          const { values, hold } = argumentsOf(entry.inputs, typed);
          if (hold) read.mutate(values);
        }}
      >
        <ArgumentFields inputs={entry.inputs} typed={typed} set={setTyped} tried={tried} />
        <ActionGroup>
          <Button type="submit" variant="secondary" isLoading={read.isPending} isDisabled={read.isPending}>
            {t("contract.ask")}
          </Button>
        </ActionGroup>
        <div aria-live="polite">
          {read.isError && <ProblemAlert error={read.error} />}
          {read.isSuccess && (
            <pre className="dolmen-pre" tabIndex={0} aria-label={t("contract.answer")}>
              {formatValue(read.data)}
            </pre>
          )}
        </div>
      </Form>
    </ExpandableSection>
  );
}
