-- Invitations by agents: who vouched, before which invoice, that an address is its payer's. An
-- agent's name is kept as text: what it proves outlives the agent's own row. `payer_id` and
-- `payer_words` are those that the agent saw: an invoice that names somebody else since then ties
-- nobody. An invitation that was accepted goes with the account that accepted it.
CREATE TABLE payer_invitation (
    invitation_id uuid PRIMARY KEY,
    authority text NOT NULL,
    invoice_id uuid NOT NULL,
    payer_id uuid NOT NULL,
    payer_words text [] NOT NULL,
    number text NOT NULL,
    email text NOT NULL,
    agent_login text NOT NULL,
    invited_at timestamptz NOT NULL,
    secret_sha256 bytea UNIQUE,
    expires_at timestamptz NOT NULL,
    account_id uuid REFERENCES account ON DELETE CASCADE,
    accepted_at timestamptz,
    ended_at timestamptz,
    CHECK ((account_id IS NULL) = (accepted_at IS NULL)),
    CHECK (accepted_at IS NULL OR ended_at IS NULL)
);

CREATE INDEX payer_invitation_authority ON payer_invitation (authority, invited_at);

CREATE INDEX payer_invitation_account ON payer_invitation (account_id)
WHERE account_id IS NOT NULL;

CREATE UNIQUE INDEX payer_invitation_pending ON payer_invitation (invoice_id, email)
WHERE accepted_at IS NULL AND ended_at IS NULL;
