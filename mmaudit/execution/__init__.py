"""Where the shards of a run are answered: here, in processes of this machine, or on the nodes of a Ray cluster.

One seam, three sides of it:

    Work       something to do with model and data, such as answering a shard; small enough to be sent anywhere
    Worker     who does it: holds model, data and run; in this process, or in one of its own
    Crew       some workers and who watches over them; what `Executor.crew` gives

A shard's answers depend on the shard alone and lie in a file of their own, so the run folder is the same, byte for
byte, whoever answered it. The fourth way, shares of a run that know nothing of each other, is `mmaudit.sharing`.
"""

from mmaudit.execution.executors import EXECUTORS, chosen
from mmaudit.execution.inprocess import InProcess
from mmaudit.execution.job import Job
from mmaudit.execution.loky_pool import Loky
from mmaudit.execution.ray_cluster import Ray
from mmaudit.execution.seam import Crew, Executor, Work
from mmaudit.execution.worker import Worker
from mmaudit.execution.works import AnswerShard, MakeBank

__all__ = [
    "EXECUTORS",
    "AnswerShard",
    "Crew",
    "Executor",
    "InProcess",
    "Job",
    "Loky",
    "MakeBank",
    "Ray",
    "Work",
    "Worker",
    "chosen",
]
