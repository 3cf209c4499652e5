CREATE TABLE accounts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	username VARCHAR(32) NOT NULL,
	display_name VARCHAR(80) NOT NULL,
	email VARCHAR(254),
	password_hash VARCHAR(60) NOT NULL,
	role VARCHAR(16) NOT NULL,
	state VARCHAR(16) NOT NULL,
	failed_login_attempts INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	must_change_password BOOLEAN NOT NULL,
	UNIQUE (username),
	CONSTRAINT known_role CHECK (role IN ('administrator', 'clinician', 'researcher')),
	CONSTRAINT known_state CHECK (state IN ('pending', 'active', 'disabled'))
);
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	time DATETIME NOT NULL,
	actor_id INTEGER,
	action VARCHAR(40) NOT NULL,
	subject_account_id INTEGER
);
CREATE INDEX ix_audit_time ON audit (time);
CREATE TABLE wrong_passwords (
	name_hash VARCHAR(64) NOT NULL,
	address_hash VARCHAR(64) NOT NULL,
	failures INTEGER NOT NULL,
	last_at DATETIME NOT NULL,
	PRIMARY KEY (name_hash, address_hash)
);
CREATE INDEX ix_wrong_passwords_last_at ON wrong_passwords (last_at);
CREATE TABLE known_addresses (
	account_id INTEGER NOT NULL,
	address_hash VARCHAR(64) NOT NULL,
	last_used_at DATETIME NOT NULL,
	PRIMARY KEY (account_id, address_hash),
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE name_skeletons (
	skeleton VARCHAR(32) NOT NULL,
	account_id INTEGER NOT NULL,
	PRIMARY KEY (skeleton),
	UNIQUE (account_id),
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE sessions (
	token_hash VARCHAR(64) NOT NULL,
	account_id INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	revoked_at DATETIME,
	PRIMARY KEY (token_hash),
	FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX ix_sessions_account_id ON sessions (account_id);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);
