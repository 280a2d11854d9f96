FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements/base.txt requirements/
RUN pip install --require-hashes --requirement requirements/base.txt
COPY manage.py Procfile ./
COPY consumption_cs consumption_cs
COPY accounts accounts
COPY usage usage
COPY budgets budgets
COPY reviews reviews
COPY templates templates
RUN python -m compileall -q . && useradd --system --no-create-home app
USER app
EXPOSE 8000
# Which process it is, the Procfile says: `python -m consumption_cs.processes NAME`.
CMD ["python", "-m", "consumption_cs.processes", "web"]
