"""Every KPI table: adding one is a module here, a declaration in `tables/` and one line in the tuple."""

from contactlake.kpi.agent import AGENT, AGENT_BY_INTERVAL, AGENT_UNAVAILABLE
from contactlake.kpi.chat import CHAT
from contactlake.kpi.conformed import Kpi
from contactlake.kpi.conversation import CONVERSATION
from contactlake.kpi.duration_distribution import DURATION_DISTRIBUTION
from contactlake.kpi.handle import HANDLE
from contactlake.kpi.queue import QUEUE, QUEUE_BY_INTERVAL, SERVICE_LEVEL
from contactlake.kpi.reconciliation import RECONCILIATION
from contactlake.kpi.user_usage import USER_USAGE
from contactlake.kpi.work_code import WORK_CODE

KPIS: tuple[Kpi, ...] = (
    HANDLE,
    QUEUE,
    SERVICE_LEVEL,
    DURATION_DISTRIBUTION,
    RECONCILIATION,
    AGENT,
    QUEUE_BY_INTERVAL,
    AGENT_BY_INTERVAL,
    AGENT_UNAVAILABLE,
    WORK_CODE,
    USER_USAGE,
    CHAT,
    CONVERSATION,
)
