collect_ignore = ["expected.py", "on_fastconv.py"]  # they belong to the processes that test_upstream.py starts


def pytest_addoption(parser):
    parser.addoption("--whole", action="store_true", help="run every case of other projects' tests, not a selection")
