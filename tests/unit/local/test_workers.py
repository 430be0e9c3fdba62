from local.workers import kill_worker, pids_in

LISTING = """
    1     1 /sbin/init
  501   500 /envs/python -P /run/ministack-lambda-stack-refund-api-a1b2c3/_worker.py
  502   500 /envs/python -P /run/ministack-lambda-stack-report-refund-d4e5f6/_worker.py
  503   500 /envs/python -P /run/ministack-lambda-stack-refund-api-x9y8z7/_worker.py
  601   600 /envs/python -P /run/ministack-lambda-stack-refund-api-q1w2e3/_worker.py
"""
# The system's limit is far below: nobody has this id.
NOBODY = 2**31 - 1


def test_workers_are_those_of_the_function_and_of_this_emulator() -> None:
    assert pids_in(LISTING, 500, "stack-refund-api") == [501, 503]
    assert pids_in(LISTING, 600, "stack-report-refund") == []
    assert pids_in(LISTING, None, "stack-refund-api") == []


def test_a_worker_that_has_ended_by_itself_is_no_error() -> None:
    assert kill_worker(NOBODY) is False
