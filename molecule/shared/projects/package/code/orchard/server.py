from django.core.wsgi import get_wsgi_application

serve = get_wsgi_application()
