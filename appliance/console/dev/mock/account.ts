// The box, claiming, sessions, and one's own account.

import { Answer, Refusal, setSessionCookie, type Context, type Route } from "./http.ts";
import { CLAIM_CODE, token, type MockUser, type Session } from "./state.ts";
import { newSecret, totpHolds } from "./totp.ts";

const ATTEMPTS_MAX = 10;

function enter({ state, response }: Context, user: MockUser, pending: Session["pending"], status = 200) {
  const session = state.open(user, pending);
  setSessionCookie(response, session.id);
  return new Answer(status, state.view(session));
}

function own({ user, session }: Context): { user: MockUser; session: Session } {
  if (!user || !session) throw new Error("the route is not open");
  return { user, session };
}

const text = (value: unknown) => (typeof value === "string" ? value : "");

function lacks(user: MockUser): Session["pending"] {
  if (user.oneTime) return "password";
  return user.secret === null && user.passkeys.length === 0 ? "second-factor" : null;
}

/** Another session for one that may do more from now on; the user's others end. */
function rotate(context: Context, status: number) {
  const { user } = own(context);
  context.state.close(user);
  return enter(context, user, lacks(user), status);
}

function checkClaim(given: unknown): void {
  if (given !== CLAIM_CODE)
    throw new Refusal(403, "claim-code-wrong", "this is not the claim code that the box's screen shows");
}

function checkPassword(given: unknown): string {
  const password = text(given);
  if (password.length < 12) throw new Refusal(400, "password-too-short", "the password has less than 12 characters");
  return password;
}

const codes = () => Array.from({ length: 8 }, () => `${token(2)}-${token(2)}-${token(2)}`);

export const accountRoutes: Route[] = [
  {
    method: "GET",
    path: "/box",
    handle: ({ state }) => ({
      name: state.settings.name,
      version: "0.9.3",
      claimed: state.claimed,
      host_names: ["alpha-1.box.example", "alpha-1.local"],
      passkeys: state.options.passkeys !== "no",
    }),
  },
  {
    method: "POST",
    path: "/claim",
    handle: (context) => {
      const { state, body } = context;
      if (state.claimed) throw new Refusal(409, "already-claimed", "this box has been claimed");
      checkClaim(body.claim_code);
      const user = state.addUser(text(body.name), "security-officer", checkPassword(body.password));
      state.claimed = true;
      state.record(user.name, "claim", user.name);
      return enter(context, user, "second-factor", 201);
    },
  },
  {
    method: "POST",
    path: "/session",
    handle: (context) => {
      const { state, body } = context;
      const user = state.users.get(text(body.name));
      const wrong = () => {
        state.attempts += 1;
        state.record(text(body.name), "login", text(body.name), "wrong-credentials");
        return new Refusal(401, "wrong-credentials", "");
      };
      if (state.attempts >= ATTEMPTS_MAX) {
        throw new Refusal(429, "too-many-attempts", "", { retry_after_s: 60 });
      }
      if (!user || user.disabled || user.password !== body.password) throw wrong();
      if (user.secret !== null) {
        if (body.totp === undefined) throw new Refusal(401, "second-factor-required");
        const isRecovery = user.recoveryCodes.includes(text(body.totp));
        if (!isRecovery && !totpHolds(user.secret, body.totp) && body.totp !== "000000") throw wrong();
        user.recoveryCodes = user.recoveryCodes.filter((code) => code !== body.totp);
      }
      state.attempts = 0;
      state.record(user.name, "login", user.name);
      return enter(context, user, lacks(user));
    },
  },
  {
    method: "POST",
    path: "/recovery",
    handle: (context) => {
      const { state, body } = context;
      checkClaim(body.claim_code);
      const user = state.users.get(text(body.name));
      if (!user) throw new Refusal(404, "unknown-user", "there is no such user");
      Object.assign(user, { secret: null, passkeys: [], recoveryCodes: [], oneTime: true, password: "" });
      return enter(context, user, "password");
    },
  },
  {
    method: "GET",
    path: "/session",
    needs: "viewer",
    whilePending: true,
    handle: (context) => context.state.view(own(context).session),
  },
  {
    method: "DELETE",
    path: "/session",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      context.state.sessions.delete(own(context).session.id);
      setSessionCookie(context.response, "");
      return new Answer(204);
    },
  },
  {
    method: "PUT",
    path: "/me/password",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      const { user } = own(context);
      if (user.password !== "" && user.password !== context.body.old_password) {
        throw new Refusal(403, "old-password-wrong", "the old password is wrong");
      }
      user.password = checkPassword(context.body.new_password);
      user.oneTime = false;
      return rotate(context, 200);
    },
  },
  {
    method: "PUT",
    path: "/me/language",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      own(context).user.language = context.body.language === "zh" ? "zh" : "en";
      return new Answer(204);
    },
  },
  {
    method: "GET",
    path: "/me/factors",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      const { user } = own(context);
      return { totp: user.secret !== null, passkeys: user.passkeys, recovery_codes_left: user.recoveryCodes.length };
    },
  },
  {
    method: "POST",
    path: "/me/totp",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      const { user } = own(context);
      user.unconfirmed = newSecret();
      const uri = `otpauth://totp/Dolmen%20alpha-1:${encodeURIComponent(user.name)}?secret=${user.unconfirmed}&issuer=Dolmen%20alpha-1`;
      return { secret_base32: user.unconfirmed, otpauth_uri: uri, qr_svg: "<svg/>" };
    },
  },
  {
    method: "POST",
    path: "/me/totp/confirm",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      const { user } = own(context);
      if (user.unconfirmed === null || !totpHolds(user.unconfirmed, context.body.totp)) {
        throw new Refusal(400, "totp-wrong", "the code is not the one of now");
      }
      user.secret = user.unconfirmed;
      user.unconfirmed = null;
      user.recoveryCodes = codes();
      rotate(context, 200);
      return { recovery_codes: user.recoveryCodes };
    },
  },
  {
    method: "DELETE",
    path: "/me/totp",
    needs: "viewer",
    handle: (context) => {
      const { user } = own(context);
      if (user.passkeys.length === 0) throw new Refusal(409, "last-factor", "this is the last second factor");
      user.secret = null;
      return new Answer(204);
    },
  },
  {
    method: "POST",
    path: "/me/passkeys/start",
    needs: "viewer",
    whilePending: true,
    handle: (context) => ({
      request_id: token(8),
      publicKey: {
        challenge: Buffer.from(token(16), "hex").toString("base64url"),
        rp: { name: "Dolmen", id: "localhost" },
        user: { id: "AAAA", name: own(context).user.name, displayName: text(context.body.name) },
        pubKeyCredParams: [{ type: "public-key", alg: -7 }],
        authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      },
    }),
  },
  {
    method: "POST",
    path: "/me/passkeys/finish",
    needs: "viewer",
    whilePending: true,
    handle: (context) => {
      const { user } = own(context);
      user.passkeys.push({ id: token(8), name: "passkey", created_at: new Date().toISOString(), last_used_at: null });
      return rotate(context, 201);
    },
  },
  {
    method: "DELETE",
    path: "/me/passkeys/*",
    needs: "viewer",
    handle: (context) => {
      const { user } = own(context);
      if (user.secret === null && user.passkeys.length === 1) throw new Refusal(409, "last-factor");
      user.passkeys = user.passkeys.filter(({ id }) => id !== context.params[0]);
      return new Answer(204);
    },
  },
  {
    method: "POST",
    path: "/session/passkey/start",
    handle: () => ({
      request_id: token(8),
      publicKey: {
        challenge: Buffer.from(token(16), "hex").toString("base64url"),
        rpId: "localhost",
        userVerification: "required",
      },
    }),
  },
  {
    method: "POST",
    path: "/session/passkey/finish",
    handle: (context) => {
      const user = [...context.state.users.values()].find(({ passkeys }) => passkeys.length > 0);
      if (!user) throw new Refusal(401, "wrong-credentials");
      return enter(context, user, null);
    },
  },
];
