import { Button, Form, InputGroup, InputGroupItem, TextInput } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import type { Hash } from "viem";
import { getBlock, getTransaction } from "viem/actions";
import { ApiError, problemIn } from "../../api/problem";
import { chain } from "../../api/rpc";
import { ProblemAlert } from "../../components/problem-alert";
import { useWords } from "../../i18n";

/** Where a height, hash or address leads. */
async function find(text: string): Promise<string> {
  const wanted = text.trim();
  const height = wanted.replaceAll(/[,\s_]/g, "");
  if (/^\d{1,15}$/.test(height)) return `/blocks/${Number(height)}`;
  if (/^0x[0-9a-fA-F]{40}$/.test(wanted)) return `/accounts/${wanted}`;
  if (!/^0x[0-9a-fA-F]{64}$/.test(wanted)) throw new ApiError({ status: 0, code: "not-searchable" });
  const hash = wanted.toLowerCase() as Hash;
  try {
    await getTransaction(chain, { hash });
    return `/transactions/${hash}`;
  } catch (error) {
    if (problemIn(error).code !== "not-on-chain") throw error;
  }
  const block = await getBlock(chain, { blockHash: hash });
  return `/blocks/${block.number}`;
}

/** Looks for a block, transaction or account. */
export function ChainSearch() {
  const { t } = useWords();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const search = useMutation({ mutationFn: find, onSuccess: (path) => navigate(path) });
  return (
    <Form
      role="search"
      className="dolmen-gap"
      onSubmit={(event) => {
        event.preventDefault();
        search.mutate(text);
      }}
    >
      <InputGroup>
        <InputGroupItem isFill>
          <TextInput
            type="search"
            aria-label={t("explorer.search_label")}
            placeholder={t("explorer.search_label")}
            value={text}
            spellCheck="false"
            autoCapitalize="off"
            onChange={(_, value) => {
              setText(value);
            }}
          />
        </InputGroupItem>
        <InputGroupItem>
          <Button type="submit" variant="control" isDisabled={text.trim() === "" || search.isPending}>
            {t("explorer.search")}
          </Button>
        </InputGroupItem>
      </InputGroup>
      {search.isError && <ProblemAlert error={search.error} />}
    </Form>
  );
}
