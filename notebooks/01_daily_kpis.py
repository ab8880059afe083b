# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Daily KPIs
#
# What a contact centre did, day by day and queue by queue: how long customers waited, how long the work took, and
# whether the two records of the same work, the agent desktop's and Amazon Connect's, agree.
#
# Everything here is read from the gold tables of a lake. `CONTACTLAKE_LAKE` names the lake, a directory or
# `s3://bucket/prefix`; without it this is the one that `make demo` has made.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from contactlake.config import load_configuration
from contactlake.launch import prepare
from contactlake.session import get_session

pd.set_option("display.max_rows", 500)
pd.set_option("display.precision", 2)

checkout = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "conf" / "local.toml").is_file())
lake = os.environ.get("CONTACTLAKE_LAKE", "build/lake")
if "://" not in lake:
    lake = str(checkout / lake)

configuration = load_configuration(checkout / "conf" / "local.toml")
configuration = configuration.model_copy(update={"lake": configuration.lake.model_copy(update={"root": lake})})

# %% [markdown]
# Spark says a few words as it starts, which mean nothing.

# %%
prepare(configuration)
spark = get_session(configuration, "daily KPIs")


# %%
def gold(name: str) -> pd.DataFrame:
    """A gold table as pandas; dimensions are text, measures are numbers."""
    rows = spark.read.format("delta").load(f"{lake}/gold/{name}").toPandas()
    rows["business_date"] = rows["business_date"].astype(str)
    return rows


# %% [markdown]
# ## Which days
#
# Gold is additive: sums over rows are right, sums over averages are not. So each average below is made anew, as a sum
# divided by a sum. The last days of a lake are often thin. They hold what ended after midnight, or what has arrived
# so far.

# %% tags=["days"]
queue_daily = gold("queue_daily")
handle_daily = gold("handle_daily")
days = pd.concat(
    [
        queue_daily.groupby("business_date")[["offered", "answered", "abandoned", "diverted"]].sum(),
        handle_daily.groupby("business_date")[["handled"]].sum(),
    ],
    axis=1,
).fillna(0)
days = days.astype(int)
days

# %% [markdown]
# ## Queues: who waited, and what became of them
#
# A visit is one stay in a queue. It was *answered*, *abandoned*, or *diverted* (the contact went on to a callback or to
# another queue); all three together were *offered*. The average speed of answer counts the answered alone, so a queue
# with many abandoned visits can look faster than it is: read it beside the abandonment rate.

# %% tags=["queues"]
by_queue = ["business_date", "queue", "channel"]
queues = queue_daily.groupby(by_queue)[
    ["offered", "answered", "abandoned", "diverted", "answer_wait_ms", "abandon_wait_ms"]
].sum()
queues["speed_of_answer_s"] = queues["answer_wait_ms"] / queues["answered"].where(queues["answered"] > 0) / 1000
queues["wait_of_abandoned_s"] = queues["abandon_wait_ms"] / queues["abandoned"].where(queues["abandoned"] > 0) / 1000
queues["abandonment_rate"] = queues["abandoned"] / queues["offered"]
queues = queues.drop(columns=["answer_wait_ms", "abandon_wait_ms"]).reset_index()
queues

# %%
busiest = queues.groupby("queue")[["answered", "abandoned", "diverted"]].sum()
busiest = busiest.loc[busiest.sum(axis=1).sort_values().index]
figure, axes = plt.subplots(figsize=(9, 0.35 * len(busiest) + 1.2), layout="constrained")
busiest.plot.barh(stacked=True, ax=axes, color=["#4c956c", "#d1495b", "#edae49"], width=0.8)
axes.set(title="Visits by outcome, all days", xlabel="visits", ylabel="")
plt.show()

# %% [markdown]
# ### Service level
#
# There is no one service level. Amazon Connect's own console and its data lake disagree, because the one removes every
# visit shorter than the threshold and the other counts answers alone; vendors of wallboards use two more. The four
# stand side by side here: before comparing with another report, find out which one that report means.

# %% tags=["service_levels"]
service_level = gold("service_level_daily")
counts = ["offered", "answered_within", "abandoned_within", "removed_below"]
levels = service_level.groupby(["business_date", "threshold_seconds"])[counts].sum()
levels["removed"] = levels["removed_below"] / levels["offered"]
levels["answered"] = levels["answered_within"] / levels["offered"]
levels["excluding_abandoned"] = levels["answered_within"] / (levels["offered"] - levels["abandoned_within"])
levels["abandoned_met"] = (levels["answered_within"] + levels["abandoned_within"]) / levels["offered"]
levels = levels.reset_index()
levels

# %%
main_day = days["offered"].idxmax()
shown = levels[levels["business_date"] == main_day].set_index("threshold_seconds")
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
(100 * shown[["removed", "answered", "excluding_abandoned", "abandoned_met"]]).plot.bar(ax=axes, rot=0, width=0.75)
axes.set(title=f"Service level on {main_day}, by definition", xlabel="threshold, seconds", ylabel="%", ylim=(0, 100))
axes.legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize="small")
plt.show()

# %% [markdown]
# ### How long the unlucky ones waited
#
# An average hides its tail. These are exact percentiles of the wait, by day and queue. Percentiles of several rows
# must not be averaged; the column `sketch` in `gold/duration_distribution_daily` is there for that.

# %% tags=["waits"]
distributions = gold("duration_distribution_daily")
waits = distributions[distributions["measure"] == "wait"].sort_values([*by_queue, "source"], ignore_index=True)
waits = waits[["business_date", "queue", "channel", "source", "count", "p50_ms", "p90_ms", "p95_ms", "max_ms"]]
for name in ("p50", "p90", "p95", "max"):
    waits[f"{name}_s"] = waits.pop(f"{name}_ms") / 1000
waits

# %% [markdown]
# ## Handled work: active, parked, wrap
#
# Symbee keeps three clocks a task. *Active* runs while the task is in focus, *parked* while it waits behind another
# one, *wrap* during after-contact work. An agent who has three chats at once works on one of them at a time: the handle
# time with parked counts those minutes up to three times over, the one without counts them once. For staffing take the
# one without; for what the customer went through take the one with.

# %% tags=["handled"]
clocks = ["active_ms", "parked_ms", "wrap_ms", "handle_ms", "focus_ms"]
handled = handle_daily.groupby(by_queue)[["handled", *clocks]].sum().reset_index()
for name, clock in {
    "average_handle_min": "handle_ms",
    "average_without_parked_min": "focus_ms",
    "average_parked_min": "parked_ms",
    "average_wrap_min": "wrap_ms",
}.items():
    handled[name] = handled[clock] / handled["handled"] / 60_000
handled = handled.drop(columns=clocks)
handled

# %%
by_channel = handle_daily.groupby("channel")[["handled", "active_ms", "parked_ms", "wrap_ms"]].sum()
minutes = by_channel[["active_ms", "parked_ms", "wrap_ms"]].div(by_channel["handled"], axis=0) / 60_000
minutes.columns = ["active", "parked", "wrap"]
minutes = minutes.loc[minutes.sum(axis=1).sort_values().index]
figure, axes = plt.subplots(figsize=(9, 0.4 * len(minutes) + 1.2), layout="constrained")
minutes.plot.barh(stacked=True, ax=axes, color=["#30638e", "#9fb8ad", "#edae49"], width=0.8)
axes.set(title="Average handle time by channel", xlabel="minutes", ylabel="")
plt.show()

# %% [markdown]
# Voice is hardly ever parked: whoever is on the phone is on the phone. Where chat or e-mail show little parked time,
# agents take one at a time, whatever the routing profile allows.
#
# ### Wrap
#
# Wrap is a habit as much as a need: look at it by agent before a queue is blamed for it.

# %% tags=["wrap"]
wrap = handle_daily.groupby("agent")[["handled", "wrap_ms", "focus_ms"]].sum()
wrap["average_wrap_s"] = wrap["wrap_ms"] / wrap["handled"] / 1000
wrap["wrap_share_of_focus"] = wrap["wrap_ms"] / wrap["focus_ms"]
wrap = wrap.drop(columns=["wrap_ms", "focus_ms"]).sort_values("average_wrap_s", ascending=False).reset_index()
wrap

# %% [markdown]
# ## Do both sides agree?
#
# Every interaction that should have an Amazon Connect contact is joined to it, and every comparison beyond the
# tolerance is noted. What each status means stands in `docs/kpis.md`; in short:
#
# - MATCHED and MATCHED_WITH_DIFFERENCES have both sides, NOT_EXPECTED never had two, UNHANDLED reached no agent;
# - MISSING_CONTACT and MISSING_INTERACTION are losses: if they grow, a delivery stream has a gap;
# - AWAITING_* are young, and are judged again by a later run.

# %% tags=["reconciliation"]
reconciliation = gold("reconciliation_daily")
statuses = reconciliation.pivot_table(
    index="status", columns="business_date", values="contacts", aggfunc="sum", fill_value=0
).astype(int)
statuses["all"] = statuses.sum(axis=1)
statuses = statuses.sort_values("all", ascending=False)
statuses.columns.name = None
statuses = statuses.reset_index()
statuses

# %%
shares = statuses.set_index("status").drop(columns="all")
shares = 100 * shares / shares.sum()
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
shares.T.plot.bar(stacked=True, ax=axes, rot=0, width=0.6, colormap="tab20")
axes.set(title="Reconciliation by day", xlabel="", ylabel="% of interactions and contacts")
axes.legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize="small")
plt.show()

# %% [markdown]
# Behind each of these rows stand single interactions. `silver/reconciliation` has them, with the differences spelled
# out. The ones with the largest difference in talk time are a good place to begin:

# %% tags=["differences"]
differing = spark.sql(
    f"""
    select cast(business_date as string) as business_date, channel, queue, agent,
           array_join(transform(differences, difference -> difference.field), ', ') as differences,
           talk_delta_ms / 1000 as talk_delta_s, wrap_delta_ms / 1000 as wrap_delta_s
    from delta.`{lake}/silver/reconciliation`
    where status = 'MATCHED_WITH_DIFFERENCES'
    order by abs(talk_delta_ms) desc nulls last, task_id
    limit 20
    """
).toPandas()
differing

# %%
spark.stop()
