//! The tables as Diesel sees them: one schema for both databases (kept in step by hand; a test
//! selects every column on both).
#![allow(missing_docs, unreachable_pub, reason = "generated names: the migrations document them")]

diesel::table! {
    users (id) {
        id -> Text, realm -> Text, subject -> Text,
        upn -> Text, upn_fold -> Text, display_name -> Text, name_fold -> Text, email -> Text, email_fold -> Text,
        given_name -> Text, family_name -> Text, job_title -> Text, department -> Text, is_external -> Bool,
        user_type -> Text, status -> Text, disabled_by -> Text, roles -> Text, claims -> Text,
        created_at -> Timestamp, last_sign_in_at -> Timestamp, synced_at -> Timestamp,
        roles_synced_at -> Nullable<Timestamp>, groups_synced_at -> Nullable<Timestamp>, groups_kept -> Bool,
    }
}
diesel::table! {
    user_roles (user_id, role, source) {
        user_id -> Text, role -> Text, source -> Text, granted_at -> Timestamp, granted_by -> Text,
    }
}
diesel::table! {
    user_role_rules (user_id, role, rule) { user_id -> Text, role -> Text, rule -> Text, }
}
diesel::table! {
    user_app_roles (user_id, app_role) { user_id -> Text, app_role -> Text, }
}
diesel::table! {
    role_mappings (value, role) { value -> Text, role -> Text, created_by -> Text, created_at -> Timestamp, }
}
diesel::table! {
    groups (id) { id -> Text, realm -> Text, object_id -> Text, name -> Text, seen_at -> Timestamp, }
}
diesel::table! {
    group_members (user_id, group_id) { group_id -> Text, user_id -> Text, }
}
diesel::table! {
    sessions (id) {
        id -> Text, id_hash -> Binary, user_id -> Text, sid -> Nullable<Text>, address -> Text, user_agent -> Text,
        data -> Text, created_at -> Timestamp, last_seen_at -> Timestamp, expires_at -> Timestamp,
    }
}
diesel::table! {
    used_transactions (state_hash) {
        state_hash -> Binary, session_id -> Nullable<Text>, next -> Text, expires_at -> Timestamp,
    }
}
diesel::table! {
    grants (id) {
        id -> Text, user_id -> Text, resource -> Text, scopes -> Text, state -> Text, sealed -> Binary,
        has_refresh_token -> Bool, expires_at -> Timestamp, due_at -> Nullable<Timestamp>, version -> BigInt,
        leased_until -> Nullable<Timestamp>, failures -> Integer, last_error -> Text, challenge -> Text,
        refreshed_at -> Nullable<Timestamp>, created_at -> Timestamp,
    }
}
diesel::table! {
    graph_cache (user_id, part) {
        user_id -> Text, part -> Text, content_type -> Text, body -> Binary, problem -> Text, fetched_at -> Timestamp,
        tried_at -> Timestamp,
    }
}
diesel::table! {
    directory_syncs (tenant_id) {
        tenant_id -> Text, delta_link -> Text, version -> BigInt, leased_until -> Nullable<Timestamp>,
        due_at -> Timestamp, began_at -> Nullable<Timestamp>, ended_at -> Nullable<Timestamp>, result -> Text,
        error -> Text, failures -> Integer, held -> BigInt, held_of -> BigInt, allowed -> BigInt,
    }
}
diesel::table! {
    audit_events (id) {
        id -> Text, at -> Timestamp, kind -> Text, actor_id -> Nullable<Text>, actor_name -> Text,
        subject_id -> Nullable<Text>, subject_name -> Text, address -> Text, request_id -> Text, detail -> Text,
        seq -> Nullable<BigInt>,
    }
}
diesel::table! {
    audit_settings (id) { id -> Integer, retention_seconds -> BigInt, last_seq -> BigInt, }
}
// A view of one row.
diesel::table! {
    audit_horizon (deletable_before) { deletable_before -> Timestamp, }
}

diesel::joinable!(user_roles -> users (user_id));
diesel::joinable!(user_role_rules -> users (user_id));
diesel::joinable!(user_app_roles -> users (user_id));
diesel::joinable!(group_members -> users (user_id));
diesel::joinable!(group_members -> groups (group_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(grants -> users (user_id));
diesel::joinable!(graph_cache -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(
    users, user_roles, user_role_rules, user_app_roles, role_mappings, groups, group_members, sessions, used_transactions, grants, graph_cache, directory_syncs,
    audit_events, audit_settings, audit_horizon
);
