// Passkeys. The box sends the options as JSON and takes the credential as JSON (WebAuthn level 3, §5.1).

import { post } from "./client";
import { ApiError } from "./problem";
import type { Api } from "./types";

/** Whether this browser can use passkeys on this page at all. */
export function browserHasPasskeys(): boolean {
  return (
    typeof PublicKeyCredential !== "undefined" && typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function"
  );
}

function refused(error: unknown): ApiError {
  const detail = error instanceof Error ? error.message : undefined;
  return new ApiError({ status: 0, code: "passkey-failed", ...(detail === undefined ? {} : { detail }) }, error);
}

async function ask(work: () => Promise<Credential | null>): Promise<unknown> {
  let credential: Credential | null;
  try {
    credential = await work();
  } catch (error) {
    throw refused(error);
  }
  if (!(credential instanceof PublicKeyCredential)) throw refused(undefined);
  return credential.toJSON();
}

/** Logs in with a passkey. */
export async function logInWithPasskey(name: string): Promise<Api<"SessionView">> {
  const start = await post<Api<"PasskeyChallenge">>("/session/passkey/start", name === "" ? {} : { name });
  const credential = await ask(() => {
    // The box's description leaves what is in it to WebAuthn.
    const given = start.publicKey as unknown as PublicKeyCredentialRequestOptionsJSON;
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(given);
    return navigator.credentials.get({ publicKey });
  });
  return post<Api<"SessionView">>("/session/passkey/finish", { request_id: start.request_id, credential });
}

/** Makes a passkey and stores its public half at the box, which gives another session for it. */
export async function addPasskey(name: string): Promise<Api<"SessionView">> {
  const start = await post<Api<"PasskeyChallenge">>("/me/passkeys/start", { name });
  const credential = await ask(() => {
    const given = start.publicKey as unknown as PublicKeyCredentialCreationOptionsJSON;
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(given);
    return navigator.credentials.create({ publicKey });
  });
  return post<Api<"SessionView">>("/me/passkeys/finish", { request_id: start.request_id, credential });
}
