-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file adding-field-with-default, adding-not-nullable-field
-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid
-- squawk-ignore-file require-concurrent-index-creation
-- A second way to prove who one is, of a citizen or of an agent (ASVS 6.3.2, 6.3.3). The secret of
-- a TOTP application is sealed; `last_period` is the last half minute whose code was used.
CREATE TABLE factor (
    factor_id uuid PRIMARY KEY,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    login text REFERENCES agent ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('totp', 'passkey')),
    label text NOT NULL,
    sealed_secret bytea,
    last_period bigint NOT NULL DEFAULT 0,
    credential_id bytea UNIQUE,
    public_key bytea,
    sign_count bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    CHECK ((account_id IS NULL) <> (login IS NULL)),
    CHECK ((kind = 'totp') = (sealed_secret IS NOT NULL)),
    CHECK ((kind = 'passkey') = (credential_id IS NOT NULL AND public_key IS NOT NULL))
);

CREATE INDEX factor_account ON factor (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX factor_login ON factor (login) WHERE login IS NOT NULL;

-- Ten codes for the day when the telephone is lost; each opens once.
CREATE TABLE recovery_code (
    code_sha256 bytea PRIMARY KEY,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    login text REFERENCES agent ON DELETE CASCADE,
    used_at timestamptz,
    CHECK ((account_id IS NULL) <> (login IS NULL))
);

CREATE INDEX recovery_code_account ON recovery_code (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX recovery_code_login ON recovery_code (login) WHERE login IS NOT NULL;

-- Who gave the password and not yet the second factor: no session, nothing opens with it.
CREATE TABLE pending_login (
    pending_sha256 bytea PRIMARY KEY,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    login text REFERENCES agent ON DELETE CASCADE,
    method text NOT NULL,
    following text NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((account_id IS NULL) <> (login IS NULL))
);

-- The secret that an application was shown and has not confirmed, within one session.
CREATE TABLE totp_start (
    holder_sha256 bytea PRIMARY KEY,
    sealed_secret bytea NOT NULL,
    started_at timestamptz NOT NULL
);

-- Challenges that a passkey has answered: each is answered once.
CREATE TABLE spent_challenge (
    challenge_sha256 bytea PRIMARY KEY,
    spent_at timestamptz NOT NULL
);

-- Browsers from which somebody signed in, by a secret that they hold for a year.
CREATE TABLE known_browser (
    browser_id uuid PRIMARY KEY,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    login text REFERENCES agent ON DELETE CASCADE,
    secret_sha256 bytea NOT NULL,
    browser text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CHECK ((account_id IS NULL) <> (login IS NULL)),
    UNIQUE (account_id, secret_sha256),
    UNIQUE (login, secret_sha256)
);

-- A name for a session that is no secret, when its owner last proved who they are, and from which
-- of their browsers.
ALTER TABLE session
ADD COLUMN session_id uuid NOT NULL DEFAULT gen_random_uuid(),
ADD COLUMN proved_at timestamptz,
ADD COLUMN browser_id uuid REFERENCES known_browser ON DELETE CASCADE;

CREATE UNIQUE INDEX session_id ON session (session_id);
CREATE INDEX session_account ON session (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX session_login ON session (login) WHERE login IS NOT NULL;
CREATE INDEX session_browser ON session (browser_id) WHERE browser_id IS NOT NULL;
