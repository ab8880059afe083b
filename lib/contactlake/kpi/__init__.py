"""Every KPI table: adding one is a module here, a declaration in `tables/` and one line in the tuple."""

from contactlake.kpi.conformed import Kpi
from contactlake.kpi.duration_distribution import DURATION_DISTRIBUTION
from contactlake.kpi.handle import HANDLE
from contactlake.kpi.queue import QUEUE, SERVICE_LEVEL
from contactlake.kpi.reconciliation import RECONCILIATION

KPIS: tuple[Kpi, ...] = (HANDLE, QUEUE, SERVICE_LEVEL, DURATION_DISTRIBUTION, RECONCILIATION)
