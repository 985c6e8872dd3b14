-- Nothing is released yet, so these tables are small where they exist: no rule about long locks.
-- squawk-ignore-file constraint-missing-not-valid, adding-foreign-key-constraint
-- squawk-ignore-file ban-drop-constraint
-- What a citizen chose for the account: a name to be greeted by, a language to be written to in.
ALTER TABLE account
ADD COLUMN display_name text NOT NULL DEFAULT '',
ADD COLUMN language text NOT NULL DEFAULT 'fr';

-- An account that is deleted takes with it all that is its own, in every table.
ALTER TABLE session
DROP CONSTRAINT session_account_id_fkey,
ADD CONSTRAINT session_account_id_fkey
FOREIGN KEY (account_id) REFERENCES account ON DELETE CASCADE;

ALTER TABLE attachment
DROP CONSTRAINT attachment_account_id_fkey,
ADD CONSTRAINT attachment_account_id_fkey
FOREIGN KEY (account_id) REFERENCES account ON DELETE CASCADE;

-- What only the reader of a mailbox can know: a secret that a letter brought, kept as a digest, good
-- once. `email` is the address that it proves; `password_hash` the password that was chosen when it
-- was asked for; `browser_sha256` the digest of what the asking browser holds.
CREATE TABLE proof (
    secret_sha256 bytea PRIMARY KEY,
    purpose text NOT NULL,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    email text NOT NULL,
    password_hash text,
    browser_sha256 bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX proof_account ON proof (account_id);

-- What happened to an account, for its owner to read. It outlives the account without its name.
CREATE TABLE account_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id uuid REFERENCES account ON DELETE SET NULL,
    kind text NOT NULL,
    occurred_at timestamptz NOT NULL,
    subscriber text NOT NULL,
    browser text NOT NULL
);

CREATE INDEX account_event_account ON account_event (account_id, occurred_at DESC);
