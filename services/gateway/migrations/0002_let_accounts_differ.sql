-- squawk-ignore-file ban-drop-not-null
-- The service is stopped while it migrates, and its code reads both.
-- An account that FranceConnect opened has no address of its own and no password.
ALTER TABLE account
ALTER COLUMN email DROP NOT NULL,
ALTER COLUMN password_hash DROP NOT NULL;

-- How a session was opened and from what, so that people recognise theirs in the list.
ALTER TABLE session
ADD COLUMN method text NOT NULL DEFAULT 'password',
ADD COLUMN browser text NOT NULL DEFAULT '',
ADD COLUMN subscriber text NOT NULL DEFAULT '';
