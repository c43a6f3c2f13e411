use super::*;

/// A current folder with a settings file, where a text is given.
fn folder(file: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(folder.path().join(FILE), text).unwrap();
    }
    folder
}

fn resolve_all(
    file: Option<&str>,
    variables: &[(&str, &str)],
    flags: &[&str],
) -> Result<Settings, ConfigError> {
    let folder = folder(file);
    let matches = clap::Command::new("serve")
        .args(args(Command::Serve))
        .no_binary_name(true)
        .get_matches_from(flags);
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    resolve(Some(&matches), variables, folder.path())
}

fn problem(file: Option<&str>, variables: &[(&str, &str)], flags: &[&str]) -> String {
    resolve_all(file, variables, flags).unwrap_err().to_string()
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn defaults_are_those_of_the_table() {
    let settings = resolve_all(None, &[], &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(settings.data, Path::new("vestibule-data"));
    assert_eq!(settings.key_file, Path::new("vestibule-data/vestibule.key"));
    assert_eq!(settings.database, None);
    assert!(settings.trusted_proxies.is_empty() && settings.outbound_allow.is_empty());
    assert_eq!(settings.log_format, logs::Format::Human);
    assert_eq!(
        (
            settings.password_memory_kib,
            settings.password_iterations,
            settings.password_lanes
        ),
        (19456, 2, 1)
    );
    assert_eq!(settings.connections_max, 4096);
    assert_eq!(settings.header_timeout, Duration::from_secs(10));
    assert!(settings.key.is_none() && settings.tls.is_none() && settings.apply.is_none());
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = Some("listen = \"127.0.0.1:1\"\nlog_level = \"warn\"\npassword_queue = 5\n");
    let variables = [
        ("VESTIBULE_LISTEN", "127.0.0.1:2"),
        ("VESTIBULE_LOG_LEVEL", "debug"),
        ("PATH", "/bin"),
    ];
    let settings = resolve_all(file, &variables, &["--listen", "127.0.0.1:3"]).unwrap();
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.log_level, "debug");
    assert_eq!(settings.password_queue, 5);
    assert_eq!(settings.public_url.port(), Some(3));
    let shown = describe(&settings);
    assert!(
        shown.contains("listen = \"127.0.0.1:3\"  # flag\n"),
        "{shown}"
    );
    assert!(
        shown.contains("log_level = \"debug\"  # VESTIBULE_LOG_LEVEL\n"),
        "{shown}"
    );
    assert!(
        shown.contains("password_queue = 5  # vestibule.toml\n"),
        "{shown}"
    );
    assert!(
        shown.contains("public_url = \"http://127.0.0.1:3\"  # default\n"),
        "{shown}"
    );
}

#[test]
fn every_unknown_name_is_an_error_that_names_the_nearest() {
    let file = Some(
        "lissten = \"127.0.0.1:1\"\npublicurl = \"x\"\nlog = { level = 1 }\nkey_file_file = \"a\"\n",
    );
    let variables = [
        ("VESTIBULE_LISTEM", "x"),
        ("VESTIBULE_", "x"),
        ("VESTIBULE_listen", "x"),
        ("VESTIBULE_DATA_FILE", "x"),
    ];
    let text = problem(file, &variables, &[]);
    for expected in [
        "there is no setting \"lissten\"; the nearest is listen",
        "there is no setting \"publicurl\"; the nearest is public_url",
        "there is no setting \"log\"",
        "there is no setting \"key_file_file\"; the nearest is key_file",
        "there is no variable \"VESTIBULE_LISTEM\"; the nearest is VESTIBULE_LISTEN",
        "there is no variable \"VESTIBULE_listen\"; the nearest is VESTIBULE_LISTEN",
        "there is no variable \"VESTIBULE_DATA_FILE\"",
        "there is no variable \"VESTIBULE_\"",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
    assert_eq!(text.lines().count(), 8, "{text}");
}

#[test]
fn a_wrong_value_names_setting_source_and_what_is_expected() {
    #[rustfmt::skip]
    let table = [
        ("listen",              "localhost:8080",        "an address with a port"),
        ("listen",              "8080",                  "an address with a port"),
        ("listen",              "",                      "an address with a port"),
        ("public_url",          "id.example.com",        "an http or https URL"),
        ("public_url",          "https://a.example/b",   "an http or https URL"),
        ("public_url",          "https://a.example/?b",  "an http or https URL"),
        ("public_url",          "https://a@b.example",   "an http or https URL"),
        ("public_url",          "ftp://a.example",       "an http or https URL"),
        ("trusted_proxies",     "10.0.0.0/33",           "networks or addresses"),
        ("trusted_proxies",     "10.0.0.1,proxy",        "networks or addresses"),
        ("outbound_allow",      "localhost/a",           "hosts"),
        ("outbound_allow",      "a@b",                   "hosts"),
        ("outbound_allow",      "a:99999",               "hosts"),
        ("outbound_allow",      "a b",                   "hosts"),
        ("outbound_allow",      "http://a",              "hosts"),
        ("log_format",          "JSON",                  "human or json"),
        ("log_level",           "",                      "error, warn"),
        ("log_level",           "inof",                  "error, warn"),
        ("log_level",           "info,hyper=loud",       "error, warn"),
        ("database",            "",                      "a text that is not empty"),
        ("data",                "a\u{fffd}",             "a path"),
        ("password_memory_kib", "262145",                "a whole number from 8 to 262144"),
        ("password_threads",    "0",                     "a whole number from 1 to 256"),
        ("password_queue",      "+5",                    "a whole number"),
        ("password_queue",      "-5",                    "a whole number"),
        ("password_queue",      "99999999999999999999",  "a whole number"),
        ("header_timeout",      "10",                    "a duration"),
        ("header_timeout",      "s",                     "a duration"),
        ("header_timeout",      "0s",                    "a duration"),
        ("header_timeout",      "2h",                    "a duration"),
        ("header_timeout",      "99999999999999999h",    "a duration"),
        ("header_timeout",      "1.5s",                  "a duration"),
        ("data",                "",                      "a path"),
    ];
    for (name, value, expected) in table {
        let variable = format!("{PREFIX}{}", name.to_ascii_uppercase());
        let text = problem(None, &[(&variable, value)], &[]);
        assert!(
            text.starts_with(&format!("{name} (from {variable}): expected {expected}")),
            "{text}"
        );

        let flag = format!("--{}={value}", name.replace('_', "-"));
        let text = problem(None, &[], &[&flag]);
        assert!(
            text.starts_with(&format!("{name} (from flag): expected {expected}")),
            "{text}"
        );

        let text = problem(Some(&format!("{name} = {value:?}\n")), &[], &[]);
        assert!(
            text.starts_with(&format!(
                "{name} (from vestibule.toml): expected {expected}"
            )),
            "{text}"
        );
    }
}

#[test]
fn a_file_value_of_another_kind_is_refused() {
    for text in [
        "listen = 1.5",
        "listen = true",
        "listen = [\"127.0.0.1:1\"]",
        "trusted_proxies = [1]",
        "data = {}",
        "password_queue = 1979-05-27",
    ] {
        assert!(
            problem(Some(text), &[], &[]).contains("expected "),
            "{text}"
        );
    }
    // A file that is no TOML says where, and not what stands there.
    let text = problem(
        Some("listen = \"127.0.0.1:1\"\ndatabase = \"CANARY\n"),
        &[],
        &[],
    );
    assert!(
        text.starts_with("vestibule.toml, line 2: ") && !text.contains("CANARY"),
        "{text}"
    );
}

#[test]
fn http_is_for_loopback_only() {
    for url in [
        "http://id.example.com",
        "http://192.0.2.1:8080",
        "http://localhost.example.com",
        "http://[2001:db8::1]",
        "http://0.0.0.0:8080",
    ] {
        let text = problem(None, &[("VESTIBULE_PUBLIC_URL", url)], &[]);
        assert!(
            text.contains("http is for loopback addresses only"),
            "{text}"
        );
    }
    let text = problem(None, &[], &["--listen", "0.0.0.0:8080"]);
    assert!(text.contains("Set public_url to the https URL"), "{text}");
    for url in [
        "http://localhost:8080",
        "http://a.localhost",
        "http://127.0.0.2",
        "http://[::1]:1",
        "https://id.example.com",
    ] {
        assert!(
            resolve_all(
                None,
                &[("VESTIBULE_PUBLIC_URL", url)],
                &["--listen", "0.0.0.0:8080"]
            )
            .is_ok(),
            "{url}"
        );
    }
}

#[test]
fn certificate_and_key_come_together() {
    assert!(problem(None, &[], &["--tls-certificate", "a"]).contains("without tls_key"));
    assert!(problem(None, &[], &["--tls-key", "a"]).contains("without tls_certificate"));
    let settings = resolve_all(None, &[], &["--tls-certificate", "a", "--tls-key", "b"]).unwrap();
    assert_eq!(settings.public_url.scheme(), "https");
    assert_eq!(
        settings.tls,
        Some(TlsFiles {
            certificate: "a".into(),
            key: "b".into()
        })
    );
}

#[test]
fn lists_are_arrays_commas_and_repeated_flags() {
    let expected: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let file = resolve_all(
        Some("trusted_proxies = [\"10.1.2.3/8\", \"::1\"]"),
        &[],
        &[],
    )
    .unwrap();
    let variable = resolve_all(
        None,
        &[("VESTIBULE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")],
        &[],
    )
    .unwrap();
    let flags = resolve_all(
        None,
        &[],
        &[
            "--trusted-proxies",
            "10.0.0.0/8",
            "--trusted-proxies",
            "::1",
        ],
    )
    .unwrap();
    for settings in [file, variable, flags] {
        assert_eq!(settings.trusted_proxies, expected);
    }
    let hosts = resolve_all(
        None,
        &[],
        &[
            "--outbound-allow",
            "LOCALHOST:21,[::1]",
            "--outbound-allow",
            "10.0.0.1:9000",
        ],
    )
    .unwrap();
    let shown: Vec<String> = hosts
        .outbound_allow
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["localhost:21", "[::1]", "10.0.0.1:9000"]);
}

#[test]
fn the_key_comes_from_the_environment_only_and_is_never_shown() {
    let settings = resolve_all(None, &[("VESTIBULE_KEY", KEY)], &[]).unwrap();
    assert_eq!(settings.key.as_ref().unwrap().expose()[31], 31);
    assert!(describe(&settings).contains("key = \"***\"  # VESTIBULE_KEY"));
    assert!(!format!("{settings:?}{}", describe(&settings)).contains("AAECAw"));

    let text = problem(Some(&format!("key = \"{KEY}\"")), &[], &[]);
    assert!(
        text.contains("set the variable VESTIBULE_KEY") && !text.contains("AAECAw"),
        "{text}"
    );
    for wrong in [
        "CANARY",
        "",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "!AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ] {
        let text = problem(None, &[("VESTIBULE_KEY", wrong)], &[]);
        assert_eq!(
            text,
            "key (from VESTIBULE_KEY): expected 32 bytes in base64"
        );
    }
    assert!(
        clap::Command::new("serve")
            .args(args(Command::Serve))
            .try_get_matches_from(["serve", "--key", KEY])
            .is_err()
    );
}

#[test]
fn a_database_password_is_masked_and_may_be_in_a_file() {
    let url = "engine://user:CANARY@db.example:99/name?password=CANARY";
    let settings = resolve_all(None, &[("VESTIBULE_DATABASE", url)], &[]).unwrap();
    assert_eq!(settings.database.as_ref().unwrap().expose(), url);
    let shown = format!("{settings:?}{}", describe(&settings));
    assert!(
        shown.contains("database = \"engine://***@db.example:99/name\"")
            && !shown.contains("CANARY"),
        "{shown}"
    );

    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), format!("{url}\n")).unwrap();
    let path = secret.path().to_str().unwrap();
    let by_file = resolve_all(Some(&format!("database_file = \"{path}\"")), &[], &[]).unwrap();
    let by_variable = resolve_all(
        Some("database = \"other:a\""),
        &[("VESTIBULE_DATABASE_FILE", path)],
        &[],
    )
    .unwrap();
    let by_flag = resolve_all(
        Some("database_file = \"/nowhere\""),
        &[],
        &["--database", url],
    )
    .unwrap();
    for settings in [by_file, by_variable, by_flag] {
        assert_eq!(settings.database.unwrap().expose(), url);
    }
    let text = problem(
        Some(&format!("database_file = \"{path}\"\ndatabase = \"a:b\"")),
        &[],
        &[],
    );
    assert!(text.contains("both given"), "{text}");
    let text = problem(None, &[("VESTIBULE_DATABASE_FILE", "/nowhere/CANARY")], &[]);
    assert!(
        text.starts_with("database_file (from VESTIBULE_DATABASE_FILE): /nowhere"),
        "{text}"
    );
    std::fs::write(secret.path(), "\n").unwrap();
    assert!(problem(None, &[("VESTIBULE_DATABASE_FILE", path)], &[]).contains("database (from"));
}

#[test]
fn a_named_settings_file_must_be_there() {
    for (variables, flags) in [
        (vec![("VESTIBULE_CONFIG", "missing.toml")], vec![]),
        (vec![], vec!["--config", "missing.toml"]),
    ] {
        let text = problem(None, &variables, &flags);
        assert!(
            text.starts_with("the settings file missing.toml: "),
            "{text}"
        );
    }
    let folder = folder(None);
    std::fs::write(folder.path().join("other.toml"), "password_queue = 7").unwrap();
    std::fs::write(folder.path().join(FILE), "nonsense = 7").unwrap();
    let variables = [("VESTIBULE_CONFIG".to_owned(), "other.toml".to_owned())];
    let settings = resolve(None, variables.into_iter(), folder.path()).unwrap();
    assert_eq!(settings.password_queue, 7);
    std::fs::write(folder.path().join("other.toml"), " ".repeat(2 << 20)).unwrap();
    let variables = [("VESTIBULE_CONFIG".to_owned(), "other.toml".to_owned())];
    assert!(resolve(None, variables.into_iter(), folder.path()).is_err());
}

#[test]
fn lanes_need_memory() {
    let text = problem(
        None,
        &[],
        &["--password-memory-kib", "64", "--password-lanes", "9"],
    );
    assert!(text.contains("at least 8 times"), "{text}");
}

#[test]
fn the_table_is_sound() {
    let mut names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SETTINGS.len(), "a name stands twice");
    for setting in SETTINGS {
        assert!(
            setting
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{}",
            setting.name
        );
        assert!(setting.doc.ends_with('.'), "{}", setting.name);
        assert!(
            !setting.has_file_form || setting.is_secret,
            "{}",
            setting.name
        );
        if let Default::Text(text) = setting.default {
            let texts = if setting.kind.is_list() {
                split_list(text)
            } else {
                vec![text.to_owned()]
            };
            assert!(setting.kind.parse(&texts).is_ok(), "{}", setting.name);
        }
    }
    for command in [Command::Serve, Command::Other] {
        clap::Command::new("vestibule")
            .args(args(command))
            .debug_assert();
    }
    let other: Vec<String> = args(Command::Other)
        .iter()
        .map(|arg| arg.get_id().to_string())
        .collect();
    assert_eq!(
        other,
        [
            "config",
            "data",
            "database",
            "key_file",
            "ca_file",
            "log_level"
        ]
    );
}

#[test]
fn commands_without_a_flag_resolve_too() {
    let folder = folder(None);
    let matches = clap::Command::new("a")
        .args(args(Command::Other))
        .get_matches_from(["a", "--data", "d"]);
    let settings = resolve(Some(&matches), std::iter::empty(), folder.path()).unwrap();
    assert_eq!(settings.data, Path::new("d"));
}

#[test]
fn the_reference_names_every_setting() {
    let text = reference_markdown();
    for setting in SETTINGS {
        assert!(
            text.contains(&format!("### `{}`\n", setting.name)),
            "{}",
            setting.name
        );
    }
    assert!(!text.contains("`--key`") && text.contains("VESTIBULE_DATABASE_FILE"));
}

#[test]
fn the_published_reference_is_the_table() {
    let published = include_str!("../../../../docs/settings.md");
    assert_eq!(
        published.trim_end(),
        reference_markdown().trim_end(),
        "write it again: vestibule config reference > docs/settings.md"
    );
}
