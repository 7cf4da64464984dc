import type { AbiFunction, AbiParameter } from "viem";
import { ArgumentError, parseArgument } from "../../../api/abi";
import { Field } from "../../../components/field";
import { useWords } from "../../../i18n";

/** The functions of an ABI that only read, or those that write. */
export function functionsOf(abi: readonly unknown[], reads: boolean): AbiFunction[] {
  return abi.filter((entry): entry is AbiFunction => {
    const { type, stateMutability } = entry as AbiFunction;
    return (type as string) === "function" && (stateMutability === "view" || stateMutability === "pure") === reads;
  });
}

/** A function's name and types: two may share a name. */
export const signatureOf = ({ name, inputs }: AbiFunction) => `${name}(${inputs.map(({ type }) => type).join(",")})`;

const nameOf = (parameter: AbiParameter, index: number) => parameter.name ?? `#${index + 1}`;

/** The values of a function's parameters, or for each why it has none. */
export function argumentsOf(inputs: readonly AbiParameter[], typed: readonly string[]) {
  const faults: (string | undefined)[] = [];
  const values = inputs.map((parameter, index) => {
    try {
      return parseArgument(parameter, typed[index] ?? "");
    } catch (error) {
      faults[index] = error instanceof ArgumentError ? error.type : parameter.type;
      return undefined;
    }
  });
  return { values, faults, hold: faults.length === 0 };
}

interface Props {
  inputs: readonly AbiParameter[];
  typed: string[];
  set: (typed: string[]) => void;
  /** Whether somebody tried to go on, so that faults are said. */
  tried: boolean;
}

/** A field for each parameter. */
export function ArgumentFields({ inputs, typed, set, tried }: Props) {
  const { t } = useWords();
  const { faults } = argumentsOf(inputs, typed);
  return inputs.map((parameter, index) => (
    <Field
      key={index}
      label={`${nameOf(parameter, index) || `#${index + 1}`} (${parameter.type})`}
      value={typed[index] ?? ""}
      set={(value) => {
        const next = inputs.map((_, i) => typed[i] ?? "");
        next[index] = value;
        set(next);
      }}
      spellCheck="false"
      autoCapitalize="off"
      autoComplete="off"
      {...(/[\])]$|^tuple/.test(parameter.type) ? { help: t("contract.as_json") } : {})}
      fault={tried && faults[index] !== undefined ? t("contract.bad_value", { type: faults[index] }) : undefined}
    />
  ));
}
