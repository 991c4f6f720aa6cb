"""What is no test and no product: demo, UI, a real Airflow for the tests, benchmarks."""
