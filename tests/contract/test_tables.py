"""The silver event tables as the specification of the tables has them, column by column."""

import re

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

from contactlake.feeds import FEEDS
from contactlake.feeds.arrow_schema import arrow_schema, arrow_type
from contactlake.tables.declaration import Table
from contactlake.tables.events import (
    CONNECT_CONTACT,
    EVENT_TABLES,
    SYMBEE_AGENT_EVENT,
    SYMBEE_INTERACTION,
    SYMBEE_TRANSCRIPT,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)

PROVENANCE = "source_object, source_ordinal, record_sha256, ingested_at, flags"

COLUMNS: dict[Table, str] = {
    SYMBEE_INTERACTION: (
        "task_id, platform_id, company_id, environment, origin_task_id, gateway_task_id, origin_gateway_task_id, "
        "task_type, task_initiation_method, delivery_provider, gateway_work_handle, username, user_report_hierarchy, "
        "skill_queue_name, far_end_address, near_end_address, transferred_to_address, is_transferred_out, "
        "media_location, media_location_type, initiation_at, queued_at, assigned_at, connected_at, wrap_at, "
        "completed_at, queued_ms, active_ms, parked_ms, wrap_ms, attributes"
    ),
    SYMBEE_WORK_CODE: (
        "platform_id, company_id, environment, work_group_name, work_group_description, work_code_name, "
        "work_code_description, username, user_report_hierarchy, queue_name, created_at, gateway_task_id, task_type"
    ),
    SYMBEE_USER_USAGE: (
        "usage_entry_at, platform_id, company_id, environment, product_id, username, user_report_hierarchy, "
        "usage_action_code"
    ),
    SYMBEE_AGENT_EVENT: (
        "platform_id, company_id, environment, username, user_report_hierarchy, agent_session_id, event_type, "
        "current_state, current_state_reason, current_state_at, current_task_count, current_focus_task_id, "
        "current_focus_gateway_task_id, current_focus_task_type, current_focus_task_init_method, "
        "current_focus_task_state, previous_state, previous_state_reason, previous_state_at, previous_state_ms, "
        "previous_task_count, previous_focus_task_id, previous_focus_gateway_task_id, previous_focus_task_type, "
        "previous_focus_task_init_method, previous_focus_task_state"
    ),
    SYMBEE_TRANSCRIPT: "media_key, session_id, messages, first_message_at, last_message_at",
    CONNECT_CONTACT: (
        "contact_id, initial_contact_id, previous_contact_id, next_contact_id, related_contact_id, aws_account_id, "
        "instance_id, environment, channel, initiation_method, disconnect_reason, initiation_at, "
        "connected_to_system_at, disconnect_at, transfer_completed_at, last_update_at, scheduled_at, agent, agent_arn, "
        "agent_connected_at, agent_interaction_ms, agent_hold_ms, agent_longest_hold_ms, agent_hold_count, "
        "agent_pause_ms, acw_ms, acw_started_at, acw_ended_at, agent_hierarchy, routing_profile, "
        "agent_connection_attempts, queue, queue_arn, enqueued_at, dequeued_at, queue_ms, customer_endpoint, "
        "system_endpoint, transferred_to_endpoint, external_third_party_ms, campaign_id, answering_machine_status, "
        "segment_subtype, chat_metrics, attributes"
    ),
}

KEYS: dict[Table, str] = {
    SYMBEE_INTERACTION: "task_id",
    SYMBEE_WORK_CODE: (
        "company_id, environment, gateway_task_id, work_group_name, work_code_name, username, created_at"
    ),
    SYMBEE_USER_USAGE: "company_id, environment, username, usage_entry_at, usage_action_code, product_id",
    SYMBEE_AGENT_EVENT: (
        "company_id, environment, username, agent_session_id, current_state_at, event_type, current_state, "
        "current_focus_task_id, current_task_count, previous_state, previous_state_at"
    ),
    SYMBEE_TRANSCRIPT: "media_key",
    CONNECT_CONTACT: "contact_id",
}

REQUIRED: dict[Table, str] = {
    SYMBEE_INTERACTION: "task_id, completed_at",
    SYMBEE_WORK_CODE: "gateway_task_id, work_code_name, username, created_at",
    SYMBEE_USER_USAGE: "username, usage_entry_at, usage_action_code",
    SYMBEE_AGENT_EVENT: "username, agent_session_id, current_state_at, event_type, current_state",
    SYMBEE_TRANSCRIPT: "media_key",
    CONNECT_CONTACT: "contact_id",
}

IDENTIFIERS = {
    SYMBEE_INTERACTION: {"far_end_address", "transferred_to_address"},
    CONNECT_CONTACT: {"customer_endpoint", "transferred_to_endpoint"},
}

TYPES = {
    "source_ordinal": "int",
    "flags": "array<string>",
    "attributes": "map<string,string>",
    "messages": "array<struct<sent_at:timestamp,direction:string,party:string,length:bigint>>",
    "current_task_count": "bigint",
    "previous_task_count": "bigint",
    "agent_hold_count": "bigint",
    "agent_connection_attempts": "bigint",
}
"""What a column's name does not tell."""


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


tables = pytest.mark.parametrize("table", COLUMNS, ids=lambda table: table.name)


def test_these_are_all() -> None:
    assert set(EVENT_TABLES) == set(COLUMNS)
    assert {record_type.table for feed in FEEDS for record_type in feed.record_types} == set(COLUMNS)


@tables
def test_columns_are_the_specified_ones(table: Table) -> None:
    assert table.column_names == names(COLUMNS[table]) + names(PROVENANCE)
    assert table.path == f"silver/{table.name}"


@tables
def test_keys_are_the_natural_ones(table: Table) -> None:
    assert table.key == names(KEYS[table])


@tables
def test_required_are_the_parts_of_the_key_that_must_be_there(table: Table) -> None:
    (record_type,) = (found for feed in FEEDS for found in feed.record_types if found.table == table)
    assert {*record_type.required, *({"media_key"} & set(table.key))} == set(names(REQUIRED[table]))
    declared = {column.name for column in table.columns if column.is_required}
    assert "record_sha256" in declared
    assert declared <= {*names(REQUIRED[table]), "record_sha256"}


@tables
def test_identifiers_are_those_that_privacy_names(table: Table) -> None:
    assert {column.name for column in table.columns if column.is_identifier} == IDENTIFIERS.get(table, set())


@tables
def test_types_follow_the_names(table: Table) -> None:
    for column in table.columns:
        if column.name == "chat_metrics":
            continue
        by_suffix = {"_at": "timestamp", "_ms": "bigint"}.get(column.name[-3:], "string")
        by_prefix = "boolean" if column.name.startswith("is_") else by_suffix
        assert column.type == TYPES.get(column.name, by_prefix), column.name


def test_chat_metrics_follow_them_too() -> None:
    metrics = arrow_type(CONNECT_CONTACT.column("chat_metrics").type)
    assert [group.name for group in metrics] == ["contact_metrics", "agent_metrics", "customer_metrics"]
    for group in metrics:
        for member in group.type:
            if re.search(r"_at$", member.name):
                assert member.type == pa.timestamp("us", "UTC")
            elif member.name.startswith("is_"):
                assert member.type == pa.bool_()
            elif member.name in ("participant_id", "participant_type"):
                assert member.type == pa.string()
            else:
                assert member.type == pa.int64()


@tables
def test_spark_and_arrow_agree_on_the_types(table: Table) -> None:
    arrow = arrow_schema(table)
    assert tuple(arrow.names) == table.column_names
    spark = from_arrow_schema(arrow)
    assert {field.name: field.dataType.simpleString() for field in spark} == {
        column.name: column.type for column in table.columns
    }
    for field in arrow:
        assert not pa.types.is_timestamp(field.type) or field.type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize("ddl", ["decimal(3,1)", "array<text>", "struct<a:string", "", "string string"])
def test_a_type_that_no_declaration_uses_is_refused(ddl: str) -> None:
    with pytest.raises((ValueError, KeyError, IndexError)):
        arrow_type(ddl)
