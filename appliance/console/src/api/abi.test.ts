import { describe, expect, test } from "vitest";
import { ABI_CHARACTERS_MAX, AbiError, ArgumentError, formatValue, parseAbi, parseArgument } from "./abi";

const TRANSFER = {
  type: "function",
  name: "transfer",
  stateMutability: "nonpayable",
  inputs: [
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
  ],
  outputs: [{ name: "", type: "bool" }],
};

function faultOf(text: string) {
  try {
    parseAbi(text);
  } catch (error) {
    if (error instanceof AbiError) return [error.fault, error.entry];
  }
  return null;
}

describe("an ABI", () => {
  test("comes as a list or inside what a compiler writes", () => {
    expect(parseAbi(JSON.stringify([TRANSFER]))).toEqual([TRANSFER]);
    expect(parseAbi(JSON.stringify({ contractName: "Token", abi: [TRANSFER], bytecode: "0x" }))).toEqual([TRANSFER]);
  });

  test("is refused with the reason and the entry", () => {
    expect(faultOf("[{")).toEqual(["not-json", undefined]);
    expect(faultOf("{}")).toEqual(["not-abi", undefined]);
    expect(faultOf("[]")).toEqual(["empty", undefined]);
    expect(faultOf(" ".repeat(ABI_CHARACTERS_MAX + 1))).toEqual(["too-big", undefined]);
    const bad = [
      { ...TRANSFER, name: "<img src=x>" },
      { ...TRANSFER, inputs: [{ name: "x", type: "uint257" }] },
      { ...TRANSFER, inputs: [{ name: "x", type: "bytes33" }] },
      { ...TRANSFER, inputs: [{ name: "x", type: "tuple" }] },
      { ...TRANSFER, stateMutability: "sometimes" },
      { type: "library", name: "x", inputs: [] },
      null,
    ];
    for (const entry of bad) expect(faultOf(JSON.stringify([TRANSFER, entry]))).toEqual(["bad-entry", 2]);
  });
});

describe("a typed value", () => {
  const parse = (type: string, text: string) => parseArgument({ name: "x", type }, text);

  test("is of its parameter's type and range", () => {
    expect(parse("uint8", "255")).toBe(255n);
    expect(parse("int8", "-128")).toBe(-128n);
    expect(parse("uint256", "0xff")).toBe(255n);
    expect(parse("bool", "true")).toBe(true);
    expect(parse("string", " as it is ")).toBe(" as it is ");
    expect(parse("bytes4", "0xa9059cbb")).toBe("0xa9059cbb");
    const address = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    expect(parse("address", address)).toBe(address);
  });

  test("is refused otherwise", () => {
    const wrong = [
      ["uint8", "256"],
      ["uint8", "-1"],
      ["int8", "128"],
      ["uint256", "1.5"],
      ["bool", "yes"],
      ["address", "0x1234"],
      ["bytes4", "0xa9059c"],
      ["uint8[2]", "[1]"],
      ["uint8[]", "1"],
    ] as const;
    for (const [type, text] of wrong) expect(() => parse(type, text), `${type} ${text}`).toThrow(ArgumentError);
  });

  test("may be a list or a tuple in JSON, and large numbers keep their digits", () => {
    expect(parse("uint256[]", "[1, 123456789012345678901234567890]")).toEqual([1n, 123456789012345678901234567890n]);
    const components = [
      { name: "who", type: "address" },
      { name: "amounts", type: "uint8[2]" },
    ];
    const who = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    const value = parseArgument({ name: "x", type: "tuple", components }, JSON.stringify({ who, amounts: [1, 2] }));
    expect(value).toEqual({ who, amounts: [1n, 2n] });
  });

  test("is shown as text", () => {
    expect(formatValue(2n ** 70n)).toBe("1180591620717411303424");
    expect(formatValue({ a: [1n] })).toBe('{\n  "a": [\n    "1"\n  ]\n}');
  });
});
